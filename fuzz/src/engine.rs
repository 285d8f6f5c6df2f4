//! Traffic and snapshots for the behaviour engine, made of any bytes.

use ase_core::address::ClientAddress;
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialId, CredentialKind};
use ase_core::identity::{Place, Provenance};
use ase_core::path::NormalPath;
use ase_core::registry::{ApiDefinition, Routes};
use ase_core::time::UnixMillis;
use ase_core::wire::body_text;
use ase_engine::{
    ApiFacts, Carried, Carrier, Covers, Engine, Fate, Lesson, Limits, Output, Settings, Transaction,
};

/// What the API of some transactions declares.
const DEFINITION: &[u8] =
    br#"{"api_metadata": {"url": "/", "hostname": "*", "routes": ["/{a}/{b}", "/a/{b}/c", "/users/me"]}}"#;
const START: u64 = 1_700_000_000_000;

/// A line a transaction: three letters for the client, the answer and the time since the line before, then method and target. Or a snapshot, which begins as one.
pub fn engine(bytes: &[u8]) {
    let text = body_text(bytes);
    let now = UnixMillis(START);
    if text.starts_with("ase-engine") {
        let (engine, restored) = Engine::restore(settings(), 1, &text, now);
        assert!(restored.taken + restored.left_out <= text.lines().count() as u64);
        let learned = engine.snapshot().into_text();
        let (again, _) = Engine::restore(settings(), 1, &learned, now);
        assert_eq!(
            again.snapshot().into_text(),
            learned,
            "a snapshot is not what it was made of"
        );
        return;
    }
    let mut engine = Engine::new(settings(), 1);
    let mut output = Output::default();
    let mut at = START;
    let declared = ApiId::parse("fuzzed")
        .ok()
        .and_then(|id| ApiDefinition::from_json(id, DEFINITION).ok());
    let routes = declared.as_ref().map(|(api, _)| api.routes());
    for line in text.lines().take(2000) {
        at = play((&mut engine, routes), line, at, &mut output);
        assert!(engine.watched() <= 100, "more clients than allowed");
    }
    for found in engine.discovered() {
        assert!(found.templates.len() <= 128 && found.carriers.len() <= 32);
    }
    for detection in &output.detections {
        assert!(detection.samples.len() <= 8 && detection.first <= detection.last);
        let undone = engine.undo(detection.id, Lesson::Route);
        assert!(
            undone.is_some() || output.detections.len() > 4096,
            "a detection that cannot be undone"
        );
    }
}

fn play(
    (engine, routes): (&mut Engine, Option<&Routes>),
    line: &str,
    at: u64,
    output: &mut Output,
) -> u64 {
    const STATUSES: [u16; 8] = [200, 404, 401, 403, 302, 500, 201, 0];
    let mut bytes = line.bytes().map(|byte| byte.wrapping_sub(b'a'));
    let (client, status, gap) = (
        bytes.next().unwrap_or(0),
        bytes.next().unwrap_or(0),
        bytes.next().unwrap_or(0),
    );
    let rest = line.get(3..).unwrap_or_default();
    let (method, target) = rest.split_once(' ').unwrap_or(("GET", rest));
    // Mostly forward by squares of tenths of a second, sometimes backward.
    let step = u64::from(gap) * u64::from(gap) * 100;
    let at = if gap == 25 {
        at.saturating_sub(3_600_000)
    } else {
        at.saturating_add(step)
    };
    let (Ok(address), Ok(api)) = (
        ClientAddress::parse(&format!("192.0.2.{client}")),
        ApiId::parse("fuzzed"),
    ) else {
        return at;
    };
    let kind = CredentialKind::ALL.into_iter().nth(usize::from(client % 5));
    let carried = kind.and_then(|kind| {
        Some(Carried {
            kind,
            id: CredentialId::parse(&format!("k1:{:032x}", client / 5)).ok()?,
            provenance: if client % 2 == 0 {
                Provenance::Claimed
            } else {
                Provenance::Verified
            },
        })
    });
    let (path, login) = (NormalPath::from_url(target), NormalPath::from_url("/login"));
    let carrier = kind.map(|kind| Carrier {
        kind,
        place: Place::Header,
        name: target.into(),
    });
    let transaction = Transaction {
        record: None,
        at: UnixMillis(at),
        api: (status < 24).then_some(ApiFacts {
            covers: if status % 3 == 0 {
                Covers::Rest
            } else {
                Covers::Own
            },
            routes: routes.filter(|_| status % 2 == 0),
            ..ApiFacts::of(&api, Some(&login))
        }),
        client: address,
        credentials: carried.as_slice(),
        method,
        target,
        path: &path,
        user_agent: Some(target),
        status: STATUSES.get(usize::from(status % 8)).copied(),
        request_bytes: None,
        response_bytes: Some(at),
        duration: None,
        fate: if status % 23 == 22 {
            Fate::Blocked
        } else {
            Fate::Passed
        },
        broken_rule: None,
        account: None,
        carriers: carrier.as_slice(),
    };
    engine.observe(&[transaction], UnixMillis(at), output);
    at
}

fn settings() -> Settings {
    Settings {
        limits: Limits {
            clients: 100,
            suspects: 10,
            routes: 64,
            apis: 2,
            lessons: 10,
            windows: 16,
        },
        ..Settings::default()
    }
}
