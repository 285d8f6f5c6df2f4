//! What the engine has counted: work done, and everything that it dropped or did less well than it could.

/// Counts since the engine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transactions looked at.
    pub transactions: u64,
    /// Transactions left out because their record had come before.
    pub duplicates: u64,
    /// Transactions of clients that were blocked: they say nothing about behaviour.
    pub blocked: u64,
    /// Transactions whose time was out of what is believed of a gateway's clock.
    pub times_clamped: u64,
    /// Times that the host's clock was set back.
    pub clock_set_back: u64,
    /// Identifiers forgotten for want of room.
    pub clients_evicted: u64,
    /// Of those, some with a suspicion against them.
    pub suspects_evicted: u64,
    /// Sample requests of a suspect lost for want of room for suspects.
    pub evidence_evicted: u64,
    /// Routes that could not be learned for want of room.
    pub routes_refused: u64,
    /// Undeclared APIs and calls that could not be noted for want of room.
    pub discoveries_refused: u64,
    /// APIs beyond the limit, counted at every transaction: they share one account.
    pub apis_shared: u64,
    /// Credentials of one request beyond those that are looked at.
    pub credentials_left_out: u64,
    /// Windows of clients that ended early for want of room.
    pub windows_displaced: u64,
    /// Routes whose baseline was forgotten for want of room.
    pub route_baselines_displaced: u64,
    /// Times that the counts of the model of sequences were halved for want of room.
    pub sequences_halved: u64,
    /// Values above a learned threshold that were not reported because too many clients of the API were above it.
    pub baselines_doubted: u64,
    /// Detections made.
    pub detections: u64,
    /// Detections that were only simulated.
    pub simulated: u64,
    /// Proposals made.
    pub proposals: u64,
    /// Lessons that could not be remembered for want of room.
    pub lessons_refused: u64,
}
