//! Pickles are listed and digested, and never loaded.

use crate::support::Workspace;

/// Python's `pickle.dumps({}, 2)`: loading it would do no harm, but who can tell.
const PICKLE: &[u8] = b"\x80\x02}q\x00.";

#[test]
fn pickles_are_kept_and_never_loaded() {
    let ward = Workspace::new();
    let refused = |args: &[&str], hint: &str| {
        let said = ward.annals(args).refused(3, "is a pickle, which annals never loads").err;
        assert!(said.contains("(6 bytes, blake3 ") && said.contains(hint), "{said}");
    };
    std::fs::create_dir(ward.path("bert")).unwrap();
    let places = ["forest.joblib", "pat.pth", "notes.pkl", "bert/pytorch_model.bin"];
    places.iter().for_each(|place| std::fs::write(ward.path(place), PICKLE).unwrap());

    refused(&["predict", "forest.joblib", "x"], "sklearn_text.py");
    refused(&["predict", "bert", "x"], "save_pretrained");
    refused(&["train", "--data", "notes.pkl"], "CSV, JSONL or Parquet");
    let fine_tune = ["train", "--config", "distilbert", "--sample-size", "60", "--init"];
    refused(&[&fine_tune[..], &["bert"]].concat(), "save_pretrained");
    refused(&[&fine_tune[..], &["pat.pth"]].concat(), "safetensors");
    let pat = ["train", "--config", "pat_s", "--sample-size", "60"];
    refused(&[&pat[..], &["--set", "pat.init_from=pat.pth"]].concat(), "safetensors");

    ward.annals(&["run", "start", "--name", "forest"]).ok();
    let saved = ward.annals(&["run", "save", "forest", "forest.joblib"]).ok();
    assert!(saved.out.contains("checkpoints/forest.joblib"), "{}", saved.out);
    ward.annals(&["run", "finish", "forest"]).ok();
    refused(&["predict", "forest", "x"], "sklearn_text.py");
    let shown = ward.annals(&["show", "forest", "--format", "json"]).ok().out;
    assert!(shown.contains("checkpoints/forest.joblib"), "{shown}");
    ward.annals(&["verify"]).ok();
}
