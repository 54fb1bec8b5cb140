//! The report for build servers: one case for each kind of notification, one for the effects, one for the audit.

use quick_junit::{NonSuccessKind, Report as Junit, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::Report;

impl Report {
    /// The report as `JUnit` XML.
    ///
    /// # Errors
    /// It cannot be written as XML.
    pub fn to_junit(&self) -> Result<String, SerializeError> {
        let mut suite = TestSuite::new("shop replay");
        for (kind, row) in &self.kinds {
            let mut failed = self.failures.iter().filter(|failure| failure.kind.split(" + ").any(|of| of == kind));
            let told = failed.by_ref().map(|failure| {
                format!("notification {}: expected {}, was {}", failure.notification, failure.expected, failure.verdict)
            });
            let told: Vec<String> = told.collect();
            suite.add_test_case(case(kind, row.wrong == 0, &told.join("\n")));
        }
        suite.add_test_case(case("one effect per payment", self.effects.are_right(), &self.effects.to_string()));
        if let Some(audit) = &self.audit {
            suite.add_test_case(case("audit", audit.clean, &audit.violations.join("\n")));
        }
        let mut report = Junit::new("shop replay");
        report.add_test_suite(suite);
        report.to_string()
    }
}

fn case(name: &str, is_right: bool, told: &str) -> TestCase {
    let mut status = TestCaseStatus::success();
    if !is_right {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message("an expectation did not hold").set_description(told);
    }
    TestCase::new(name, status)
}
