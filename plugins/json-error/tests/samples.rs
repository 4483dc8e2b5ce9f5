//! The samples of the manifest, as the router runs them at upload.

#[test]
fn samples_give_what_they_expect() {
    hookmill_plugin::test::classifier_samples(json_error::classify, include_str!("../plugin.json"));
}
