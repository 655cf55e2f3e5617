//! What the encoder does besides telling classes apart.

use annals::base::Split;
use annals::train::TrainEvent;
use annals::train::prepared::{HeadTargets, Prepared, Targets};

use crate::engine::{Place, config, dataset, numbers, train};

/// The rows of [`dataset`] with a head that tells long rows from short ones, without a label in
/// every third row.
fn with_head(rows: u32) -> Prepared {
    let mut data = dataset(rows);
    let lengths = data.inputs.lengths();
    let target = |(row, length): (usize, &u32)| (row % 3 > 0).then_some(u32::from(*length > 6));
    data.heads.push(HeadTargets {
        name: "long".into(),
        labels: vec!["no".into(), "yes".into()],
        targets: lengths.iter().enumerate().map(target).collect(),
    });
    data
}

const HEADS: (&str, &str) = ("multitask.heads", "[{name: long, column: long, weight: 0.7}]");

/// The values of one series, by step.
fn series(events: &[TrainEvent], name: &str) -> Vec<(u64, f64)> {
    let points = numbers(events).into_iter().filter(|(found, ..)| found == name);
    points.map(|(_, step, bits)| (step, f64::from_bits(bits))).collect()
}

#[test]
fn heads_are_learned_beside_the_labels_and_scored_under_their_names() {
    let place = Place::new(&with_head(240));
    let longer = [HEADS, ("training.num_epochs", "12"), ("training.learning_rate", "2.0e-3")];
    let (finished, events) = train(&place, place.job("run", &config(&longer)));
    let (whole, main) =
        (series(&events, "Some(Train)/loss"), series(&events, "Some(Train)/main.loss"));
    let long = series(&events, "Some(Train)/long.loss");
    assert_eq!((whole.len(), main.len(), long.len()), (360, 360, 360));
    for ((whole, main), long) in whole.iter().zip(&main).zip(&long) {
        assert!((whole.1 - main.1 - 0.7 * long.1).abs() < 1e-5, "{whole:?} {main:?} {long:?}");
    }
    let test = &finished.evaluations[1];
    assert_eq!(test.split, Split::Test);
    let accuracy = test.get("long.accuracy").unwrap().value;
    assert!(accuracy > 0.9, "{accuracy}");
    assert!(test.get("long.loss").unwrap().value < long[0].1);
    assert!(test.get("long.f1_no").is_none(), "scores of single labels of heads");
    assert_eq!(series(&events, "Some(Valid)/long.f1_macro").len(), 12);
    assert!(test.get("f1_macro").is_some() && test.classes.len() == 2);

    let (again, _) = train(&place, place.job("again", &config(&longer)));
    assert_eq!(finished.weights, again.weights);
}

#[test]
fn heads_without_labelled_rows_say_nothing() {
    let mut data = with_head(16);
    for (target, split) in data.heads[0].targets.iter_mut().zip(&data.splits) {
        if *split != Split::Train {
            *target = None;
        }
    }
    let place = Place::new(&data);
    let (finished, _) = train(&place, place.job("run", &config(&[HEADS])));
    let names: Vec<&str> =
        finished.evaluations[1].metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert!(names.contains(&"f1_macro"));
    assert!(!names.iter().any(|name| name.starts_with("long.")), "{names:?}");
}

/// Rows whose tokens tell nothing: in those of class 1 one token has a concept.
fn with_concepts(rows: u32) -> Prepared {
    let mut data = dataset(rows);
    let lengths = data.inputs.lengths();
    let mut classes = Vec::new();
    for (row, length) in lengths.iter().enumerate() {
        let class = row % 2;
        let mut concepts = vec![0; *length as usize];
        if class == 1 {
            concepts[1 + row % (*length as usize - 1)] = 1 + (row % 3) as u32;
        }
        data.concepts.extend(concepts);
        classes.push(class as u32);
    }
    data.concept_count = 3;
    data.targets = Targets::Single(classes);
    data
}

#[test]
fn concepts_help_and_what_they_do_is_measured() {
    let place = Place::new(&with_concepts(240));
    let longer = [("training.num_epochs", "12"), ("training.learning_rate", "3.0e-3")];
    let lexicon = [&longer[..], &[("lexicon.file", "clinical")]].concat();
    let (with, events) = train(&place, place.job("with", &config(&lexicon)));
    let test = &with.evaluations[1];
    let score = |name: &str| test.get(name).unwrap().value;
    assert!(score("accuracy") > 0.9, "{}", score("accuracy"));
    assert!(score("without_concepts.accuracy") < 0.7, "{}", score("without_concepts.accuracy"));
    assert!(score("without_concepts.loss") > score("loss"));
    assert_eq!(series(&events, "Some(Test)/without_concepts.f1_macro").len(), 1);

    let off = [&lexicon[..], &[("lexicon.embeddings", "false")]].concat();
    let (without, _) = train(&place, place.job("without", &config(&off)));
    let test = &without.evaluations[1];
    assert!(test.get("accuracy").unwrap().value < 0.8);
    assert!(test.get("without_concepts.accuracy").is_none());
    // 3 vectors of 32 numbers, and that of no concept.
    assert_eq!(with.parameters, without.parameters + 4 * 32);
}
