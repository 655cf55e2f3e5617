//! Training as a whole: real files, real rows, the toy learner.

mod labelled_text;
