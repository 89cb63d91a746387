//! What the integration tests, the fuzz targets and the instrument share.

pub mod fuzzing;
