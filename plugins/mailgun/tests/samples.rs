//! The samples of the manifest, as the router runs them at upload.

#[test]
fn samples_give_what_they_expect() {
    hookmill_plugin::test::source_samples(mailgun::receive, include_str!("../plugin.json"));
}
