//! What a failure most likely means, wherever one is shown. Ours.

use hookmill_core::diagnosis::Diagnosis;
use serde::Serialize;

#[derive(Serialize)]
pub(crate) struct DiagnosisOut {
    code: &'static str,
    summary: &'static str,
    causes: &'static [&'static str],
    remedies: &'static [&'static str],
}

impl DiagnosisOut {
    pub(crate) fn of(diagnosis: &Diagnosis) -> Self {
        let Diagnosis { code, summary, causes, remedies } = *diagnosis;
        Self { code, summary, causes, remedies }
    }
}
