//! What other systems leave, and what becomes of it here; no sockets, no files, no clock.
//!
//! [`dump`] reads a table out of a MySQL dump and [`osmox`] makes endpoints of its rows. [`svix`] makes of a Svix server's
//! answers what is asked of this one. Each thing that was found is an [`Item`] of the report at the end, with its
//! [`Outcome`]. [`patience`] says how long to wait for a server that is busy.
//!
//! An import is repeated without harm: each thing has a uid that follows from where it comes from, and what is there
//! under its uid is left as it is.

pub(crate) mod dump;
pub(crate) mod osmox;
pub(crate) mod patience;
pub(crate) mod report;
pub(crate) mod svix;
