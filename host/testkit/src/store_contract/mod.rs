//! What every store must do, as a suite that runs on any of them.
//!
//! Each property is a function over a [`Factory`]; [`store_contract!`](crate::store_contract) makes a test of each.
//! The strongest is [`random::same_as_model`]: random calls give the same answers as the
//! [`ModelStore`](crate::model_store::ModelStore) does.

pub mod append;
pub mod configuration;
pub mod deliver;
pub mod fixture;
pub mod history;
pub mod random;
pub mod retention;
pub mod source;
pub mod task;

use hookmill_core::port::Store;

/// Makes the stores that the suite runs on.
pub trait Factory: Send + Sync {
    /// What is tested.
    type Store: Store + 'static;

    /// A new, empty store.
    fn create(&self) -> Self::Store;

    /// Closes a store and opens it again, as a restart of the process does.
    fn reopen(&self, store: Self::Store) -> Self::Store;
}

/// Runs a property on a runtime of its own.
///
/// # Panics
/// Where the property does not hold, or no runtime can be made.
pub fn run<T>(property: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs memory and descriptors only")
        .block_on(property)
}

/// Makes one test of each property. Takes an expression that gives a [`Factory`].
#[macro_export]
macro_rules! store_contract {
    ($factory:expr) => {
        $crate::store_contract! { @tests $factory;
            append::answers_ids_in_order,
            append::knows_a_uid,
            append::knows_an_idempotency_key,
            append::refuses_what_has_no_application,
            append::answers_each_of_many_at_once,
            configuration::every_field_comes_back,
            configuration::conflicts_undo_all_of_their_changes,
            configuration::a_conflict_fails_only_its_own_call,
            configuration::plugins_share_bytes,
            configuration::plugins_have_canaries,
            configuration::keeps_terms_and_states,
            configuration::restarts_deliveries,
            configuration::remembers_answers,
            configuration::deleting_takes_along_what_belongs_to_it,
            deliver::loads_in_the_order_of_due_times,
            deliver::limits_end_a_load,
            deliver::large_bodies_are_read_within_the_limit,
            deliver::order_holds_back,
            deliver::order_keeps_each_key_gapless_under_a_limit,
            deliver::finishing_ends_a_delivery,
            deliver::a_retry_keeps_what_was_prepared,
            deliver::a_split_takes_the_place_of_its_delivery,
            deliver::a_dead_delivery_stays_readable,
            deliver::redelivers_what_is_stored,
            deliver::names_the_backlog,
            deliver::measures_what_waits,
            history::pages_go_both_ways,
            history::attempts_are_found_by_event_and_endpoint,
            history::filters_narrow_a_page,
            history::every_field_of_an_attempt_comes_back,
            history::attempts_keep_where_they_went,
            history::a_read_is_bounded_and_says_where_to_go_on,
            retention::takes_what_is_old_and_finished,
            retention::an_address_that_went_is_kept_again,
            retention::gets_past_what_is_unfinished,
            retention::gets_past_what_a_wrong_clock_dated,
            retention::forgets_old_keys,
            retention::a_clock_that_ran_ahead_forgets_no_keys,
            source::a_source_has_its_name_alone_and_goes_with_its_tenant,
            source::every_field_of_a_source_comes_back,
            task::a_dead_letter_is_sent_again_once,
            task::what_was_never_sent_is_replayed_once,
            task::tasks_are_listed_and_one_runs_at_a_time,
        }

        /// Random calls give the same answers as the model does.
        #[test]
        fn same_as_model() {
            $crate::store_contract::random::same_as_model(&$factory);
        }
    };
    (@tests $factory:expr; $($module:ident::$property:ident,)*) => {$(
        #[test]
        fn $property() {
            $crate::store_contract::run($crate::store_contract::$module::$property(&$factory));
        }
    )*};
}
