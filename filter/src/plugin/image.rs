//! The policy image: what [`crate::local::Local`] wishes, as host calls. It decides nothing.

use ase_core::policy_image::LocalRequest;
use ase_core::transaction::FailureClass;

use super::callout;
use super::complaint;
use super::shared::{About, Shared};
use crate::clock::Moment;
use crate::config::Config;
use crate::counters::{Counter, IMAGE_AGE_MS, IMAGE_BYTES, IMAGE_REVISION};
use crate::exchange::{CalloutToken, Outcome};
use crate::host::{self, Buffer, Cas, Level, Map, MetricKind, NotWritten, Returned};
use crate::host_profile::HostCall;
use crate::local::{Arrived, Asked, ImageFailure, Local, Named, PIECE_BYTES, Piece, Seen};
use crate::outbox::News;
use crate::pairs;
use crate::site::Site;

impl Shared {
    /// Whether ASE would have nothing against the request; else it is counted why it has to be asked.
    pub(super) fn clears(&self, request: &LocalRequest<'_>, config: &Config, now: Moment) -> bool {
        let keys = config.report().credentials.keys();
        let judged = self.image(|local| {
            // Its route's metadata may be the first to say so.
            local.want();
            local.judge(request, keys, now, config.local())
        });
        match judged.unwrap_or(Err(Asked::NoImage)) {
            Ok(()) => true,
            Err(reason) => {
                self.count(Counter::LocalAsked(reason));
                false
            }
        }
    }

    /// Runs `act` on the image.
    pub(super) fn image<T>(&self, act: impl FnOnce(&mut Local) -> T) -> Option<T> {
        self.with(&self.local, act)
    }

    /// Sets the gauges.
    fn tell_image(&self, now: Moment) {
        let Some(figures) = self.image(|local| local.figures(now)) else {
            return;
        };
        let define = |name| host::define_metric(MetricKind::Gauge, name).ok();
        let gauges = self
            .image_gauges
            .get()
            .unwrap_or_else(|| [IMAGE_AGE_MS, IMAGE_BYTES, IMAGE_REVISION].map(define));
        self.image_gauges.set(Some(gauges));
        for (gauge, figure) in gauges.into_iter().zip(figures) {
            if let Some(gauge) = gauge {
                host::record(gauge, figure);
            }
        }
    }

    /// Says which image is in use.
    fn say_image(&self) {
        let told = self.image(|local| {
            let image = local.image()?;
            Some((image.build(), image.as_bytes().len()))
        });
        if let (Some(Some((build, bytes))), true) = (told, self.level.get() <= Level::Info) {
            let line = format!("ase: policy image {build:016x} of {bytes} bytes is in use");
            host::log(Level::Info, &line);
        }
    }
}

/// How often a board that another VM has changed meanwhile is read again.
const POST_ATTEMPTS: usize = 4;

/// What stands on the board.
struct Reading {
    bytes: Option<Returned>,
    cas: Cas,
    is_shared: bool,
}

impl Reading {
    fn of(shared: &Shared, config: &Config) -> Self {
        let read = if config.host().offers(HostCall::SharedData) && shared.may_share.get() {
            host::shared_data(&config.local().key).ok()
        } else {
            None
        };
        let is_shared = read.is_some();
        let (bytes, cas) = read.flatten().unzip();
        Self {
            bytes,
            cas: cas.unwrap_or_default(),
            is_shared,
        }
    }

    fn seen(&self) -> Seen<'_> {
        match (&self.bytes, self.is_shared) {
            (_, false) => Seen::Alone,
            (None, true) => Seen::Nothing,
            (Some(bytes), true) => Seen::Board(bytes),
        }
    }
}

/// Time went on by one tick.
pub(super) fn tick(shared: &Shared, config: &Config, now: Moment) {
    if !shared.image(|local| local.is_wanted()).unwrap_or(false) {
        return;
    }
    let reading = Reading::of(shared, config);
    let limits = config.local();
    let Some(wish) = shared.image(|local| local.tick(reading.seen(), now, limits)) else {
        return;
    };
    copy(shared, config, now);
    if let Some(board) = wish.post {
        post(shared, config, &board, reading.cas);
    }
    if wish.publish {
        publish(shared, config);
    }
    if wish.fetch {
        fetch(shared, config, now);
    }
    if wish.holds {
        shared.tell_image(now);
    }
}

/// Copies what another VM has shared.
fn copy(shared: &Shared, config: &Config, now: Moment) {
    while let Some(Some(piece)) = shared.image(|local| local.wanted_piece()) {
        let read = host::shared_data(&key_of(config, piece)).ok().flatten();
        let bytes = read.as_ref().map(|(bytes, _)| &**bytes);
        match shared.image(|local| local.piece(bytes)) {
            Some(Ok(true)) => shared.count(Counter::ImageTaken),
            Some(Ok(false)) => {}
            Some(Err(failure)) => {
                failed(shared, config, failure, Site::Primary);
                let reading = Reading::of(shared, config);
                let board = shared.image(|local| local.disowned(reading.seen(), now));
                if let Some(board) = board.flatten() {
                    post(shared, config, &board, reading.cas);
                }
            }
            None => return,
        }
    }
}

/// Asks ASE for news.
fn fetch(shared: &Shared, config: &Config, now: Moment) {
    let limits = config.local();
    let site = shared.choose_site(config);
    let have = shared.image(|local| local.have()).flatten();
    match callout::fetch_image(config, shared.context, site, have) {
        Ok(token) => {
            shared.image(|local| local.sent(token, site, now, limits));
        }
        Err(refusal) => {
            shared.image(|local| local.failed(limits));
            failed(shared, config, ImageFailure::Call(refusal.class()), site);
        }
    }
}

/// Takes the answer that the host is delivering right now, if it is the one to the call for news.
pub(super) fn answered(
    shared: &Shared,
    config: &Config,
    token: CalloutToken,
    headers: usize,
    body_size: usize,
) -> bool {
    let Some((site, sent)) = shared.image(|local| local.answered(token)).flatten() else {
        return false;
    };
    let limits = config.local();
    let arrived = arrived(headers, config);
    let taken = match arrived {
        Arrived::Nothing => Ok(()),
        Arrived::Overlay | Arrived::OverlayOnly => {
            take_overlay(shared, &callout::body(body_size)).map(drop)
        }
        Arrived::Image => take_image(shared, config, body_size, sent),
        Arrived::Failure(failure) => Err(failure),
    };
    match taken {
        Ok(()) => {
            shared.image(|local| match arrived {
                Arrived::OverlayOnly => local.awaits_another(limits),
                Arrived::Nothing | Arrived::Overlay | Arrived::Image | Arrived::Failure(_) => {
                    local.confirm(sent, limits);
                }
            });
            shared.with_breaker(|breaker| breaker.sites().answered(site));
            tell_others(shared, config);
        }
        Err(failure) => {
            shared.image(|local| local.failed(limits));
            failed(shared, config, failure, site);
        }
    }
    true
}

fn arrived(headers: usize, config: &Config) -> Arrived {
    if headers == 0 {
        return match callout::answer(0, 0, config).outcome() {
            Outcome::Failure(class) => Arrived::none(class),
            Outcome::Pass | Outcome::Block | Outcome::Unregistered => {
                Arrived::none(FailureClass::BadReply)
            }
        };
    }
    let buffer = host::header_pairs(Map::Answer).unwrap_or_default();
    let headers = pairs::parse(&buffer).unwrap_or_default();
    Arrived::of(
        &callout::with_status(headers, Map::Answer),
        &config.ase().answer_mark,
    )
}

/// What was listed since, from whichever of ASE's answers.
fn take_overlay(shared: &Shared, overlay: &[u8]) -> Result<bool, ImageFailure> {
    shared
        .image(|local| local.extend(overlay))
        .unwrap_or(Ok(false))
}

/// The body of the current answer is an image: it is read piece by piece, so that it is in memory once.
fn take_image(
    shared: &Shared,
    config: &Config,
    size: usize,
    sent: Moment,
) -> Result<(), ImageFailure> {
    let limits = config.local();
    let busy = Err(ImageFailure::Refused);
    shared
        .image(|local| local.make_room(size, limits))
        .unwrap_or(busy)?;
    let mut start = 0;
    while start < size {
        let piece = host::buffer_part(Buffer::AnswerBody, start, PIECE_BYTES).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        start += piece.len();
        shared.image(|local| local.receive(&piece));
    }
    shared
        .image(|local| local.received(sent, limits))
        .unwrap_or(busy)?;
    shared.count(Counter::ImageTaken);
    shared.say_image();
    publish(shared, config);
    Ok(())
}

/// The ASE at `site` has told what is new of the image that a batch named.
pub(super) fn heard(shared: &Shared, config: &Config, news: &News, named: Named, site: Site) {
    match shared.image(|local| local.heard(news, named)) {
        Some(Ok(true)) => tell_others(shared, config),
        Some(Ok(false)) | None => {}
        Some(Err(failure)) => failed(shared, config, failure, site),
    }
}

/// The root context ends, or speaks to another ASE.
pub(super) fn farewell(shared: &Shared, config: &Config) {
    let (reading, now) = (Reading::of(shared, config), shared.last_moment.get());
    let board = shared.image(|local| local.farewell(reading.seen(), now));
    if let Some(board) = board.flatten() {
        post(shared, config, &board, reading.cas);
    }
    shared.image(|local| local.forget());
}

/// Shares the image: the pieces first, then the board that says that they are there.
fn publish(shared: &Shared, config: &Config) {
    let (mut written, now) = (None, shared.now());
    for _ in 0..POST_ATTEMPTS {
        let reading = Reading::of(shared, config);
        if !reading.is_shared {
            return;
        }
        let publication = shared.image(|local| local.publication(reading.seen(), now));
        let Some((row, board)) = publication.flatten() else {
            return;
        };
        if written != Some(row) {
            write_pieces(shared, config, row);
            written = Some(row);
        }
        if post(shared, config, &board, reading.cas) {
            return;
        }
    }
}

fn write_pieces(shared: &Shared, config: &Config, row: u8) {
    shared.image(|local| {
        let bytes = local.image().map(|image| image.as_bytes());
        for (number, bytes) in (0..).zip(bytes.unwrap_or_default().chunks(PIECE_BYTES)) {
            let key = key_of(config, Piece { row, number });
            let _shows_in_the_copy = host::set_shared_data(&key, bytes, Cas::default());
        }
    });
}

/// Tells the other VMs what is newer here than on the board.
fn tell_others(shared: &Shared, config: &Config) {
    let now = shared.now();
    for _ in 0..POST_ATTEMPTS {
        let reading = Reading::of(shared, config);
        let board = shared.image(|local| local.news(reading.seen(), now));
        match board.flatten() {
            Some(board) if !post(shared, config, &board, reading.cas) => {}
            Some(_) | None => return,
        }
    }
}

/// Whether there is nothing more to try.
fn post(shared: &Shared, config: &Config, board: &[u8], cas: Cas) -> bool {
    match host::set_shared_data(&config.local().key, board, cas) {
        Ok(()) => true,
        Err(NotWritten::Overtaken) => false,
        Err(NotWritten::Refused) => {
            shared.may_share.set(false);
            true
        }
    }
}

fn key_of(config: &Config, piece: Piece) -> String {
    let Piece { row, number } = piece;
    format!("{}_{row}_{number}", config.local().key)
}

fn failed(shared: &Shared, config: &Config, failure: ImageFailure, site: Site) {
    if let ImageFailure::Call(class) = failure {
        shared.site_failed(site, class, config);
    }
    shared.count(Counter::ImageFailure(failure));
    shared.notice(About::Image(failure), Level::Warn, || {
        format!(
            "no newer policy image: {}",
            complaint::image(failure, site, config)
        )
    });
}
