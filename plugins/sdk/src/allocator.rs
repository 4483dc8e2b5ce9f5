//! An allocator that frees everything at once.
//!
//! Most instances live for one run and then the router clears all their memory, so to keep lists of free blocks is work for
//! nothing. Here an allocation is an addition and a comparison, neighbours in time are neighbours in memory, and few pages
//! are touched, which is what the router's clearing costs. The last block can still grow, shrink and be given back in
//! its place: that is how text is built.
//!
//! Blocks are counted. When none is in use any more, as between two runs in an instance that is used again, all memory is
//! free again. A plugin that keeps something from run to run keeps the rest from being freed: it uses up memory until the
//! router gives its instance up, or it turns the feature `bump-allocator` off and has the standard library's allocator.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::{memory_grow, memory_size};
use std::cell::Cell;
use std::ptr;

/// Bytes of a WebAssembly page.
const PAGE_BYTES: usize = 64 * 1024;

/// Pages that memory grows by at least: growing is a system call of the router.
const GROW_PAGES_MIN: usize = 4;

unsafe extern "C" {
    /// Where the linker's own data ends.
    static __heap_base: u8;
}

#[global_allocator]
static ALLOCATOR: Bump = Bump { next: Cell::new(&raw const __heap_base), blocks: Cell::new(0) };

struct Bump {
    /// Everything below is handed out, everything from here on is free.
    next: Cell<*const u8>,
    /// Blocks that are in use.
    blocks: Cell<usize>,
}

// SAFETY: plugins are built without threads.
unsafe impl Sync for Bump {}

impl Bump {
    /// Makes `end` the first free byte, growing memory if need be; answers whether that worked.
    fn advance(&self, end: usize) -> bool {
        let available = memory_size(0) * PAGE_BYTES;
        if end > available {
            let missing = (end - available).div_ceil(PAGE_BYTES);
            let grown = memory_grow(0, missing.max(GROW_PAGES_MIN)) != usize::MAX
                || memory_grow(0, missing) != usize::MAX;
            if !grown {
                return false;
            }
        }
        self.next.set(self.next.get().with_addr(end));
        true
    }

    /// Whether nothing was handed out after this block.
    fn is_last(&self, block: *mut u8, size: usize) -> bool {
        block.addr() + size == self.next.get().addr()
    }
}

// SAFETY: blocks begin at the alignment asked for and never overlap, since `next` only moves back over the last block, or
// over all of them when none is in use.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.next.get().addr().next_multiple_of(layout.align());
        match start.checked_add(layout.size()) {
            Some(end) if self.advance(end) => {
                self.blocks.set(self.blocks.get() + 1);
                self.next.get().with_addr(start).cast_mut()
            }
            Some(_) | None => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.blocks.set(self.blocks.get() - 1);
        if self.blocks.get() == 0 {
            self.next.set(&raw const __heap_base);
        } else if self.is_last(block, layout.size()) {
            self.next.set(block);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if self.is_last(block, layout.size()) {
            return match block.addr().checked_add(size) {
                Some(end) if self.advance(end) => block,
                Some(_) | None => ptr::null_mut(),
            };
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller vouches for the block and for the size; the two blocks don't overlap.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size());
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
