//! Tests of the real process on real sockets: one module for each promise.

mod authoring;
mod bad_plugins;
mod bad_receivers;
mod bad_requests;
mod bad_starts;
mod conversation;
mod crash;
mod doctor;
mod durability;
mod first_start;
mod hostile_plugins;
mod hygiene;
mod import;
mod main_job;
mod metrics;
mod mifumo;
mod nothing_ignored;
mod osmox;
mod plugin_platform;
mod receivers;
mod schedules;
mod sources;
mod strangers;
mod svix_client;
mod verifiers;
mod whatsapp;
