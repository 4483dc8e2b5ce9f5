//! Things under construction: what a plugin made and has not handed over yet.
//!
//! Bodies are counted while they are held, not when they are handed over, so that drafts that are never used are
//! bounded too.

use crate::fault::Breach;

/// Something that a plugin fills in.
pub(super) trait Draft {
    /// Bytes of a body of its own.
    fn body_bytes(&self) -> usize;

    /// The limit that one too many breaks.
    fn too_many(max: usize) -> Breach;
}

/// The drafts of one kind of a run; a handle's number is a place among them.
pub(super) struct Drafts<T> {
    /// The place of the first; those before it were an earlier run's in the same instance.
    first: u32,
    slots: Vec<Option<T>>,
    live: usize,
    body_bytes: usize,
}

impl<T> Default for Drafts<T> {
    fn default() -> Self {
        Self { first: 0, slots: Vec::new(), live: 0, body_bytes: 0 }
    }
}

impl<T: Draft> Drafts<T> {
    /// Adds a draft and tells its place.
    pub(super) fn add(&mut self, draft: T, max: usize) -> Result<u32, Breach> {
        if self.live >= max {
            return Err(T::too_many(max));
        }
        self.live += 1;
        let place = self.next_place();
        self.slots.push(Some(draft));
        Ok(place)
    }

    /// No drafts, for a run whose instance may still hold handles below this place: they are none of its own.
    pub(super) fn beginning_at(first: u32) -> Self {
        Self { first, ..Self::default() }
    }

    /// The place of the next draft.
    pub(super) fn next_place(&self) -> u32 {
        let count = u32::try_from(self.slots.len()).expect("calls of the host are bounded");
        self.first.saturating_add(count)
    }

    fn slot(&mut self, place: u32) -> Option<&mut Option<T>> {
        self.slots.get_mut(place.checked_sub(self.first)? as usize)
    }

    /// Wasmtime hands out handles of this store only, and none twice after it was dropped.
    pub(super) fn get(&mut self, place: u32) -> Result<&mut T, Breach> {
        self.slot(place).and_then(Option::as_mut).ok_or(Breach::Handle)
    }

    /// Whether this place was an earlier run's.
    pub(super) fn is_earlier(&self, place: u32) -> bool {
        place < self.first
    }

    /// Takes a draft out.
    pub(super) fn remove(&mut self, place: u32) -> Result<T, Breach> {
        let draft = self.slot(place).and_then(Option::take).ok_or(Breach::Handle)?;
        self.live -= 1;
        self.body_bytes -= draft.body_bytes();
        Ok(draft)
    }

    /// Changes a draft's body; all bodies together have at most so many bytes.
    pub(super) fn change_body(
        &mut self,
        place: u32,
        bytes_max: usize,
        change: impl FnOnce(&mut T),
    ) -> Result<(), Breach> {
        let draft = self.get(place)?;
        let before = draft.body_bytes();
        change(draft);
        let after = draft.body_bytes();
        self.body_bytes = self.body_bytes - before + after;
        if self.body_bytes > bytes_max { Err(Breach::Output { max: bytes_max }) } else { Ok(()) }
    }
}
