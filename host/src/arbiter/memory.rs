//! An arbiter in memory: the model that every other one is held against, and what tests and simulations arbitrate with.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{Arbiter, Error, Promise};
use crate::round::{Observation, Replaced, Revision};

/// One TXT RRset in this process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    values: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Memory {
    /// Puts these TXT values in place of whatever is there, on no condition: a hand at the zone.
    pub fn overwrite(&self, mut values: Vec<Vec<u8>>) {
        values.sort();
        *self.values.lock().unwrap_or_else(PoisonError::into_inner) = values;
    }

    /// What stands there.
    pub fn observe(&self) -> Observation {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Observation { revision: revision(&values), values }
    }

    /// The conditional replacement, at once.
    pub fn swap(&self, expected: &Revision, value: &[u8]) -> Replaced {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if revision(&values) != *expected {
            return Replaced::Conflict;
        }
        *values = vec![value.to_vec()];
        Replaced::Applied(revision(&values))
    }
}

/// The revision of an RRset: its values, each behind its length.
pub(crate) fn revision(values: &[Vec<u8>]) -> Revision {
    if values.is_empty() {
        return Revision::Absent;
    }
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| (value.len() as u64).to_be_bytes().into_iter().chain(value.iter().copied()))
        .collect();
    Revision::Exact(bytes.into())
}

#[async_trait]
impl Arbiter for Memory {
    async fn read(&self) -> Result<Observation, Error> {
        Ok(self.observe())
    }

    async fn replace(&self, expected: &Revision, value: &[u8]) -> Result<Replaced, Error> {
        Ok(self.swap(expected, value))
    }

    fn promise(&self) -> Promise {
        Promise::CompareAndSwap
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}
