//! A curriculum: what makes a row difficult may be the loss of an earlier run.

use crate::support::Workspace;

const STAGES: &str = "curriculum.stages=[{share: 0.4, epochs: 2, learning_rate: 0.02}, \
                      {share: 1, epochs: 2, learning_rate: 0.01}]";

#[test]
fn an_earlier_run_tells_which_rows_are_easy() {
    let ward = Workspace::new();
    ward.train("first", &[]).ok();
    let staged = |name: &'static str, more: &[&'static str]| {
        let base = ["--set", "training.num_epochs=4", "--set", STAGES];
        ward.train(name, &[&base[..], more].concat())
    };
    let reference = ["--set", "curriculum.difficulty=reference", "--set"];
    let by = staged("second", &[&reference[..], &["curriculum.reference=first"]].concat()).ok();
    assert!(by.err.contains("The difficulty of rows is measured by first_"), "{}", by.err);
    assert!(by.err.contains("epoch 3/4  stage 2/2"), "{}", by.err);
    let digest = |name: &str| {
        let shown = ward.annals(&["show", name, "--format", "json"]).ok().json();
        shown["weights"].as_str().unwrap().to_owned()
    };
    let by_length = staged("third", &[]);
    by_length.ok();
    assert_ne!(digest("second"), digest("third"));

    let nobody = staged("fourth", &[&reference[..], &["curriculum.reference=nobody"]].concat());
    nobody.refused(4, "nobody");
}
