//! The values of one name in one place: as many as are kept, the first ones with the last ones.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::{Credential, MAX_VALUES_PER_NAME, Place};
use crate::credential::CredentialKind;

const HALF: usize = MAX_VALUES_PER_NAME / 2;

/// The values of one name in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket<'a> {
    pub(super) kind: CredentialKind,
    pub(super) place: Place,
    pub(super) name: Cow<'a, str>,
    pub(super) first: Vec<Credential<'a>>,
    pub(super) last: VecDeque<Credential<'a>>,
    pub(super) left_out: usize,
}

impl<'a> Bucket<'a> {
    pub(super) fn of(credential: Credential<'a>) -> Self {
        Self {
            kind: credential.kind,
            place: credential.place,
            name: credential.name.clone(),
            first: vec![credential],
            last: VecDeque::new(),
            left_out: 0,
        }
    }

    pub(super) fn add(&mut self, credential: Credential<'a>) {
        if self.first.len() < HALF {
            let same = |known: &&mut Credential<'a>| known.value == credential.value;
            match self.first.iter_mut().find(same) {
                Some(known) => known.provenance = known.provenance.max(credential.provenance),
                None => self.first.push(credential),
            }
            return;
        }
        if self.last.len() == HALF {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(credential);
    }
}
