//! The TXT records at the name, with all that stood there before and what may yet come.

use arbitrary::{Result, Unstructured};

use crate::round::{Observation, Replaced, Revision};

/// The RRset.
#[derive(Debug, Default)]
pub(super) struct Zone {
    values: Vec<Vec<u8>>,
    before: Vec<Vec<Vec<u8>>>,
    late: Vec<(Revision, Vec<u8>)>,
}

impl Zone {
    pub(super) fn of(values: Vec<Vec<u8>>) -> Self {
        let mut zone = Self::default();
        zone.put(values);
        zone
    }

    pub(super) fn values(&self) -> &[Vec<u8>] {
        &self.values
    }

    /// A hand at the zone.
    pub(super) fn put(&mut self, mut values: Vec<Vec<u8>>) {
        values.sort();
        self.before.push(std::mem::replace(&mut self.values, values));
    }

    pub(super) fn observe(&self) -> Observation {
        Observation { revision: self.revision(), values: self.values.clone() }
    }

    pub(super) fn revision(&self) -> Revision {
        if self.values.is_empty() {
            return Revision::Absent;
        }
        let framed = self.values.iter().flat_map(|value| [&value.len().to_be_bytes()[..], value].concat());
        Revision::Exact(framed.collect::<Vec<u8>>().into())
    }

    pub(super) fn replace(&mut self, expected: &Revision, value: &[u8]) -> Replaced {
        if *expected != self.revision() {
            return Replaced::Conflict;
        }
        self.put(vec![value.to_vec()]);
        Replaced::Applied(self.revision())
    }

    /// A request that arrives when its sender has given up.
    pub(super) fn keep_for_later(&mut self, expected: Revision, value: Vec<u8>) {
        self.late.push((expected, value));
    }

    pub(super) fn apply_late(&mut self) {
        if let Some((expected, value)) = self.late.pop() {
            self.replace(&expected, &value);
        }
    }

    /// What stood there at some time.
    pub(super) fn older(&self, u: &mut Unstructured<'_>) -> Result<Vec<Vec<u8>>> {
        if self.before.is_empty() { Ok(Vec::new()) } else { Ok(u.choose(&self.before)?.clone()) }
    }
}
