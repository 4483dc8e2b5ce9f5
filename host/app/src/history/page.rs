//! Pages: where they begin, whether more follows, and filling one from several reads.

use hookmill_core::limits::PAGE_ITEMS_MAX;
use hookmill_core::port::store::PageFrom;

use super::SCANNED_MAX;

/// Which page a reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<Id> {
    /// Where it begins.
    pub from: PageFrom<Id>,
    /// How much it may hold, at most [`PAGE_ITEMS_MAX`].
    pub limit: usize,
}

/// A page, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<Id, T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The newest id that the page covers; newer ones come before it.
    pub previous: Option<Id>,
    /// The oldest id that the page covers; older ones come after it.
    pub next: Option<Id>,
    /// Whether nothing follows in the direction of reading.
    pub done: bool,
}

impl<Id: Copy, T> Page<Id, T> {
    /// Makes a page of one item more than it may hold, as far as there is one more.
    pub(super) fn cut(mut items: Vec<T>, from: PageFrom<Id>, limit: usize, id: impl Fn(&T) -> Id) -> Self {
        let done = items.len() <= limit;
        if !done {
            match from {
                // Reading towards the newer, what is over is the newest.
                PageFrom::NewerThan(_) => drop(items.remove(0)),
                PageFrom::Newest | PageFrom::OlderThan(_) => items.truncate(limit),
            }
        }
        let (previous, next) = (items.first().map(&id), items.last().map(&id));
        Self { items, previous, next, done }
    }

    /// The same page of something else.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Page<Id, U> {
        Page {
            items: self.items.into_iter().map(make).collect(),
            previous: self.previous,
            next: self.next,
            done: self.done,
        }
    }
}

/// A page that is filled from several reads, of which a filter lets some through.
pub(super) struct Scan<Id, T> {
    request: PageRequest<Id>,
    /// Newest first.
    found: Vec<(Id, T)>,
    /// Where the next read goes on.
    position: PageFrom<Id>,
    scanned: usize,
    exhausted: bool,
}

/// One read of a scan.
pub(super) struct Step<Id> {
    pub(super) from: PageFrom<Id>,
    pub(super) limit: usize,
}

impl<Id: Copy + PartialEq, T> Scan<Id, T> {
    pub(super) fn new(request: PageRequest<Id>) -> Self {
        Self { request, found: Vec::new(), position: request.from, scanned: 0, exhausted: false }
    }

    /// The next read, if one is needed.
    pub(super) fn next_step(&self) -> Option<Step<Id>> {
        let full = self.found.len() > self.request.limit;
        if full || self.exhausted || self.scanned >= SCANNED_MAX {
            return None;
        }
        let limit = (self.request.limit + 1 - self.found.len()).clamp(PAGE_ITEMS_MAX / 4, PAGE_ITEMS_MAX + 1);
        Some(Step { from: self.position, limit })
    }

    /// Takes what a read brought, newest first: the ids of all of it, and what passed the filter.
    pub(super) fn take(&mut self, step: &Step<Id>, read: &[Id], admitted: Vec<(Id, T)>) {
        self.scanned += read.len();
        self.exhausted = read.len() < step.limit;
        if self.towards_newer() {
            if let Some(newest) = read.first() {
                self.position = PageFrom::NewerThan(*newest);
            }
            self.found.splice(0..0, admitted);
        } else {
            if let Some(oldest) = read.last() {
                self.position = PageFrom::OlderThan(*oldest);
            }
            self.found.extend(admitted);
        }
    }

    /// The page. One that the bound on reads cut short goes on where reading ended.
    pub(super) fn finish(mut self) -> Page<Id, T> {
        let limit = self.request.limit;
        let over = self.found.len().saturating_sub(limit);
        let cut_short = over == 0 && !self.exhausted;
        if self.towards_newer() {
            self.found.drain(..over);
        } else {
            self.found.truncate(limit);
        }
        let mut previous = self.found.first().map(|(id, _)| *id);
        let mut next = self.found.last().map(|(id, _)| *id);
        if cut_short {
            match self.position {
                PageFrom::NewerThan(id) => previous = Some(id),
                PageFrom::OlderThan(id) => next = Some(id),
                PageFrom::Newest => {}
            }
        }
        let items = self.found.into_iter().map(|(_, item)| item).collect();
        Page { items, previous, next, done: over == 0 && !cut_short }
    }

    fn towards_newer(&self) -> bool {
        matches!(self.request.from, PageFrom::NewerThan(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids 1 to 1000 stand for what a store holds; the filter lets multiples of `every` through.
    fn scan(from: PageFrom<u32>, limit: usize, every: u32) -> Page<u32, u32> {
        let mut scan = Scan::new(PageRequest { from, limit });
        while let Some(step) = scan.next_step() {
            let read: Vec<u32> = match step.from {
                PageFrom::Newest => (1..=1000).rev().take(step.limit).collect(),
                PageFrom::OlderThan(id) => (1..id).rev().take(step.limit).collect(),
                PageFrom::NewerThan(id) => {
                    let mut near: Vec<u32> = (id + 1..=1000).take(step.limit).collect();
                    near.reverse();
                    near
                }
            };
            let admitted = read.iter().filter(|id| *id % every == 0).map(|id| (*id, *id)).collect();
            scan.take(&step, &read, admitted);
        }
        scan.finish()
    }

    #[test]
    fn a_filtered_page_is_full_until_the_end() {
        let check = |from, limit, every, items: &[u32], done| {
            let page = scan(from, limit, every);
            assert_eq!((page.items.as_slice(), page.done), (items, done), "{from:?} {limit} {every}");
            assert_eq!((page.previous, page.next), (items.first().copied(), items.last().copied()));
        };
        check(PageFrom::Newest, 3, 1, &[1000, 999, 998], false);
        check(PageFrom::Newest, 3, 300, &[900, 600, 300], true);
        check(PageFrom::Newest, 2, 300, &[900, 600], false);
        check(PageFrom::OlderThan(600), 2, 300, &[300], true);
        check(PageFrom::OlderThan(1), 2, 1, &[], true);
        check(PageFrom::NewerThan(300), 1, 300, &[600], false);
        check(PageFrom::NewerThan(300), 2, 300, &[900, 600], true);
        check(PageFrom::NewerThan(1000), 2, 1, &[], true);
    }

    #[test]
    fn a_cut_page_drops_what_is_farthest() {
        let check = |from, items: &[u32], expect: &[u32], done| {
            let page = Page::cut(items.to_vec(), from, 2, |id| *id);
            assert_eq!((page.items.as_slice(), page.done), (expect, done));
        };
        check(PageFrom::Newest, &[9, 8, 7], &[9, 8], false);
        check(PageFrom::OlderThan(10), &[9, 8], &[9, 8], true);
        check(PageFrom::NewerThan(6), &[9, 8, 7], &[8, 7], false);
    }
}
