//! Pages: where they begin, whether more follows, and filling one from several reads.

use hookmill_core::limits::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX, PAGE_ROWS_MAX, PAGE_SHOWN_BYTES_MAX};
use hookmill_core::port::store::{Found, PageFrom};

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
    /// The newest id that the page covers, however little of it is on the page; newer ones come before it.
    pub previous: Option<Id>,
    /// The oldest id that the page covers, however little of it is on the page; older ones come after it.
    pub next: Option<Id>,
    /// Whether nothing follows in the direction of reading.
    pub done: bool,
}

impl<Id: Copy, T> Page<Id, T> {
    /// The same page of what is made of its items, which stay.
    pub fn map_ref<'page, U>(&'page self, make: impl FnMut(&'page T) -> U) -> Page<Id, U> {
        Page {
            items: self.items.iter().map(make).collect(),
            previous: self.previous,
            next: self.next,
            done: self.done,
        }
    }
}

impl<Id, T> Page<Id, T> {
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
    /// Rows that may still be looked at.
    rows_left: usize,
    /// Bytes of bodies that may still be read.
    bytes_left: usize,
    /// Bytes that the page may still show.
    shown_left: usize,
    exhausted: bool,
}

/// What a filter let through.
pub(super) struct Admitted<Id, T> {
    pub(super) id: Id,
    /// Bytes that it takes on the page.
    pub(super) shown_bytes: usize,
    pub(super) item: T,
}

/// One read of a scan.
pub(super) struct Step<Id> {
    pub(super) from: PageFrom<Id>,
    pub(super) limit: usize,
}

/// How far a read went.
pub(super) struct Progress<Id> {
    /// The last row that it looked at in the direction of reading, where something may follow.
    pub(super) last: Option<Id>,
    pub(super) rows_read: usize,
    /// Bytes of the bodies that passed the filter.
    pub(super) bytes: usize,
}

impl<Id: Copy> Progress<Id> {
    /// How far the read of this step went.
    pub(super) fn of<T>(step: &Step<Id>, found: &Found<Id, T>, id: impl Fn(&T) -> Id) -> Self {
        let furthest = match step.from {
            PageFrom::NewerThan(_) => found.items.first(),
            PageFrom::Newest | PageFrom::OlderThan(_) => found.items.last(),
        };
        let is_filled = found.items.len() >= step.limit;
        let last = found.stopped_at.or_else(|| furthest.filter(|_| is_filled).map(id));
        Self { last, rows_read: found.rows_read, bytes: 0 }
    }
}

impl<Id: Copy + PartialEq, T> Scan<Id, T> {
    pub(super) fn new(request: PageRequest<Id>) -> Self {
        Self::of_rows(request, PAGE_ROWS_MAX)
    }

    /// A scan of fewer rows, for a filter that asks the store of each.
    pub(super) fn of_rows(request: PageRequest<Id>, rows_max: usize) -> Self {
        Self {
            request,
            found: Vec::new(),
            position: request.from,
            rows_left: rows_max,
            bytes_left: PAGE_BYTES_MAX,
            shown_left: PAGE_SHOWN_BYTES_MAX,
            exhausted: false,
        }
    }

    /// The next read, if one is needed.
    pub(super) fn next_step(&self) -> Option<Step<Id>> {
        let full = self.found.len() > self.request.limit;
        if full || self.exhausted || self.rows_left == 0 || self.bytes_left == 0 || self.shown_left == 0 {
            return None;
        }
        let limit = (self.request.limit + 1 - self.found.len()).clamp(PAGE_ITEMS_MAX / 4, PAGE_ITEMS_MAX + 1);
        Some(Step { from: self.position, limit })
    }

    /// Takes what a read brought and a filter let through, newest first. What would be too much for the page is left for the
    /// next one, unless it is all that there is on it.
    pub(super) fn take(&mut self, progress: &Progress<Id>, mut admitted: Vec<Admitted<Id, T>>) {
        let towards_newer = self.towards_newer();
        if towards_newer {
            admitted.reverse();
        }
        let mut fitting = Vec::with_capacity(admitted.len());
        let mut last = progress.last;
        for Admitted { id, shown_bytes, item } in admitted {
            if shown_bytes > self.shown_left
                && let Some((nearest, _)) = fitting.last().or_else(|| match self.request.from {
                    PageFrom::NewerThan(_) => self.found.first(),
                    PageFrom::Newest | PageFrom::OlderThan(_) => self.found.last(),
                })
            {
                last = Some(*nearest);
                self.shown_left = 0;
                break;
            }
            self.shown_left = self.shown_left.saturating_sub(shown_bytes);
            fitting.push((id, item));
        }
        if towards_newer {
            fitting.reverse();
        }
        self.rows_left = self.rows_left.saturating_sub(progress.rows_read);
        self.bytes_left = self.bytes_left.saturating_sub(progress.bytes);
        self.exhausted = last.is_none();
        if towards_newer {
            if let Some(newest) = last {
                self.position = PageFrom::NewerThan(newest);
            }
            self.found.splice(0..0, fitting);
        } else {
            if let Some(oldest) = last {
                self.position = PageFrom::OlderThan(oldest);
            }
            self.found.extend(fitting);
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

    fn admitted(id: u32, shown_bytes: usize) -> Admitted<u32, u32> {
        Admitted { id, shown_bytes, item: id }
    }

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
            let admitted = read.iter().filter(|id| *id % every == 0).map(|id| admitted(*id, 1)).collect();
            let found = Found { rows_read: read.len(), items: read, stopped_at: None };
            scan.take(&Progress::of(&step, &found, |id| *id), admitted);
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

    /// The first read looks at so much that nothing may follow it.
    #[test]
    fn a_page_that_a_bound_ends_is_not_done_and_says_where_to_go_on() {
        let check = |from, rows_read, bytes, items: &[u32], expect: (Option<u32>, Option<u32>, bool)| {
            let mut scan = Scan::new(PageRequest { from, limit: 2 });
            let step = scan.next_step().unwrap();
            let found = Found { items: items.to_vec(), stopped_at: Some(500), rows_read };
            let progress = Progress { bytes, ..Progress::of(&step, &found, |id: &u32| *id) };
            scan.take(&progress, items.iter().map(|id| admitted(*id, 1)).collect());
            assert!(scan.next_step().is_none());
            let page = scan.finish();
            assert_eq!((page.previous, page.next, page.done), expect, "{from:?} {items:?}");
        };
        check(PageFrom::Newest, PAGE_ROWS_MAX, 0, &[], (None, Some(500), false));
        check(PageFrom::Newest, PAGE_ROWS_MAX, 0, &[700], (Some(700), Some(500), false));
        check(PageFrom::OlderThan(900), 1, PAGE_BYTES_MAX, &[700], (Some(700), Some(500), false));
        check(PageFrom::NewerThan(1), PAGE_ROWS_MAX, 0, &[], (Some(500), None, false));
    }

    /// Two reads of two items each.
    #[test]
    fn a_page_that_would_show_too_much_ends_before_that_and_goes_on_there() {
        let check = |from, bytes: [usize; 4], items: &[u32], done| {
            let mut scan = Scan::new(PageRequest { from, limit: 10 });
            let ids = match from {
                PageFrom::NewerThan(_) => [1, 2, 3, 4],
                PageFrom::Newest | PageFrom::OlderThan(_) => [4, 3, 2, 1],
            };
            for half in [0..2, 2..4] {
                let Some(_) = scan.next_step() else { break };
                let last = (half.end == 2).then(|| ids[1]);
                let mut read: Vec<_> = half.map(|index| admitted(ids[index], bytes[index])).collect();
                if matches!(from, PageFrom::NewerThan(_)) {
                    read.reverse();
                }
                scan.take(&Progress { last, rows_read: 2, bytes: 1 }, read);
            }
            let page = scan.finish();
            assert_eq!((page.items.as_slice(), page.done), (items, done), "{from:?} {bytes:?}");
            assert_eq!((page.previous, page.next), (items.first().copied(), items.last().copied()));
        };
        let half = PAGE_SHOWN_BYTES_MAX / 2;
        check(PageFrom::Newest, [1; 4], &[4, 3, 2, 1], true);
        check(PageFrom::Newest, [half + 1; 4], &[4], false);
        check(PageFrom::Newest, [half, 1, half, 1], &[4, 3], false);
        check(PageFrom::Newest, [half; 4], &[4, 3], false);
        check(PageFrom::Newest, [10 * half, 1, 1, 1], &[4], false);
        check(PageFrom::NewerThan(0), [half, 1, half, 1], &[2, 1], false);
        check(PageFrom::NewerThan(0), [half + 1; 4], &[1], false);
    }
}
