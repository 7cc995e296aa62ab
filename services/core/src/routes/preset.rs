//! Routes that need not be written out.

use super::{Access, RouteSpec, Routes};

impl Routes {
    /// Every path is an object: what a gateway does that nobody told otherwise.
    #[must_use]
    pub fn everything(access: Access) -> RouteSpec {
        RouteSpec { r#match: "/{path*}".to_owned(), access: Some(access.to_string()), ..RouteSpec::default() }
    }

    /// The meetings of the first frontend: `download-package` is redirected, `download-package-direct` never is.
    #[must_use]
    pub fn meetings(access: Access) -> Vec<RouteSpec> {
        let package = |last: &str| RouteSpec {
            r#match: format!("/api/v1/meetings/{{meeting_id}}/{last}"),
            key: Some("meeting_files/{meeting_id}/package.zip".to_owned()),
            origin: Some("/api/v1/meetings/{meeting_id}/download-package-direct".to_owned()),
            filename: Some("meeting_{meeting_id}.zip".to_owned()),
            access: Some(access.to_string()),
            content_type: Some("application/zip".to_owned()),
            ..RouteSpec::default()
        };
        let direct = RouteSpec { deliver: Some("proxy".to_owned()), ..package("download-package-direct") };
        vec![package("download-package"), direct]
    }
}
