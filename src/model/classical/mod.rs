//! The classical baselines in plain Rust: TF-IDF with logistic regression or a linear support
//! vector machine. Fitted to the optimum in seconds, they are what every network has to beat.
//!
//! To add a model: its fit beside `logreg.rs`, an arm in `model.rs`. Start reading at
//! [`TextClassifier`].

mod error;
pub mod linear;
pub mod logreg;
mod model;
mod sparse;
pub mod svm;
mod tfidf;

pub use error::ClassicalError;
pub use model::{Fit, TextClassifier, VECTORIZER_FILE};
pub use sparse::Sparse;
pub use tfidf::Vectorizer;
pub(super) use tfidf::has_word;
