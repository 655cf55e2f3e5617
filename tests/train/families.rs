//! What the encoder does besides telling classes apart.

use annals::base::Split;
use annals::data::batch::Collator;
use annals::data::prepared::{HeadTargets, Inputs, Prepared, Targets};
use annals::supervise::EngineMessage;
use annals::train::TrainEvent;

use crate::engine::{Place, VOCAB, WAIT, config, dataset, loaded, numbers, train};

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

    let (without, _) = train(&place, place.job("without", &config(&longer)));
    let test = &without.evaluations[1];
    assert!(test.get("accuracy").unwrap().value < 0.8);
    assert!(test.get("without_concepts.accuracy").is_none());
    // 3 vectors of 32 numbers, and that of no concept.
    assert_eq!(with.parameters, without.parameters + 4 * 32);
}

/// The rows of [`dataset`], where tokens have names, and some that decide nothing are terms of a
/// lexicon.
fn with_terms(rows: u32) -> Prepared {
    let mut data = dataset(rows);
    let Inputs::Tokens { ids, .. } = &data.inputs else { panic!("tokens") };
    data.concepts = ids.iter().map(|id| u32::from((40..45).contains(id))).collect();
    data.concept_count = 1;
    data.vocabulary = (0..VOCAB).map(|id| format!("t{id}")).collect();
    data
}

const ATTENTION: &[(&str, &str)] = &[
    ("training.num_epochs", "12"),
    ("training.learning_rate", "3.0e-3"),
    ("attention.export_rows", "12"),
    ("attention.faithfulness_rows", "24"),
];

/// What terms receive from the last layer in the exported rows that have any, mean over heads.
fn attention_on_terms(place: &Place, run: &str) -> f64 {
    let folder = place.root.path().join(run);
    let file = std::fs::read(folder.join("results/attention.json")).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let rows = file["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 12);
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let mut shares = Vec::new();
    for row in rows {
        let (relevance, concepts) = (numbers(&row["relevance"]), numbers(&row["concepts"]));
        let tokens = row["tokens"].as_array().unwrap();
        assert_eq!((relevance.len(), tokens[0].as_str()), (tokens.len(), Some("t2")));
        let sums_to_1 = |line: &[f64]| (line.iter().sum::<f64>() - 1.0).abs() < 0.002;
        assert!(sums_to_1(&relevance), "{relevance:?}");
        assert_eq!(row["layers"].as_array().unwrap().len(), 2);
        for layer in row["layers"].as_array().unwrap() {
            let lines = layer.as_array().unwrap();
            assert_eq!(lines.len(), tokens.len());
            assert!(lines.iter().all(|line| sums_to_1(&numbers(line))));
        }
        let heads = row["received"][1].as_array().unwrap();
        assert_eq!(heads.len(), 2);
        assert!(heads.iter().all(|head| sums_to_1(&numbers(head))));
        if concepts.contains(&1.0) {
            let on_terms = |head: &serde_json::Value| -> f64 {
                numbers(head).iter().zip(&concepts).map(|(share, concept)| share * concept).sum()
            };
            shares.push(heads.iter().map(on_terms).sum::<f64>() / heads.len() as f64);
        }
    }
    let picture = std::fs::read_to_string(folder.join("plots/attention.svg")).unwrap();
    assert_eq!(picture.matches("predicted").count(), 12);
    shares.iter().sum::<f64>() / shares.len() as f64
}

#[test]
fn attention_is_exported_measured_and_drawn_to_terms() {
    let place = Place::new(&with_terms(240));
    let (plain, events) = train(&place, place.job("plain", &config(ATTENTION)));
    let score = |name: &str| plain.evaluations[1].get(name).unwrap().value;
    assert!(score("accuracy") > 0.9, "{}", score("accuracy"));
    assert!(score("comprehensiveness") > score("comprehensiveness_random"));
    assert!(score("sufficiency") < score("sufficiency_random"));
    assert_eq!(series(&events, "Some(Test)/sufficiency").len(), 1);

    let supervision = [
        ("lexicon.file", "clinical"),
        ("lexicon.embeddings", "false"),
        ("attention.supervision_weight", "1.0"),
    ];
    let supervised = config(&[ATTENTION, &supervision].concat());
    let (_, events) = train(&place, place.job("supervised", &supervised));
    let losses = series(&events, "Some(Train)/attention.loss");
    let mean = |losses: &[(u64, f64)]| losses.iter().map(|(_, loss)| loss).sum::<f64>() / 30.0;
    let (first, last) = (mean(&losses[..30]), mean(&losses[losses.len() - 30..]));
    assert!(last < 0.75 * first, "{first} to {last}");
    let whole = series(&events, "Some(Train)/loss");
    let main = series(&events, "Some(Train)/main.loss");
    assert_eq!((whole.len(), main.len()), (360, 360));
    for ((step, whole), (_, main)) in whole.iter().zip(&main) {
        // An update of rows without terms has no such loss.
        let attention = losses.iter().find(|(at, _)| at == step).map_or(0.0, |(_, loss)| *loss);
        assert!((whole - main - attention).abs() < 1e-5, "{step}");
    }
    let (without, with) =
        (attention_on_terms(&place, "plain"), attention_on_terms(&place, "supervised"));
    assert!(with > 1.5 * without, "{with} with supervision, {without} without");

    // The same tokens marked by people teach the same.
    let marked = [("attention.rationale_column", "why"), ("attention.supervision_weight", "1.0")];
    let (_, events) = train(&place, place.job("marked", &config(&[ATTENTION, &marked].concat())));
    assert_eq!(series(&events, "Some(Train)/attention.loss"), losses);
}

/// Scores of each row must not depend on the padding beside it, which the convolution and the
/// largest number would see first.
#[test]
fn a_convolution_and_max_pooling_see_tokens_alone() {
    let data = dataset(160);
    let place = Place::new(&data);
    let plain = [("training.num_epochs", "6"), ("training.learning_rate", "2.0e-3")];
    let wide = [("encoder.convolution", "3"), ("encoder.pooling", "max")];
    let config = config(&[plain.as_slice(), &wide].concat());
    let (finished, _) = train(&place, place.job("run", &config));
    let (again, _) = train(&place, place.job("again", &config));
    assert_eq!(finished.weights, again.weights);
    let accuracy = finished.evaluations[1].get("accuracy").unwrap().value;
    assert!(accuracy > 0.8, "{accuracy}");

    let dir = place.root.path().join("run").join(&finished.best_dir);
    let weights = std::fs::read(dir.join("model.safetensors")).unwrap();
    let weights = safetensors::SafeTensors::deserialize(&weights).unwrap();
    let shape = weights.tensor("convolution.weight").unwrap().shape().to_vec();
    assert_eq!(shape, [config.model.n_embd as usize, config.model.n_embd as usize, 3]);
    let (mut engine, heard) = loaded(&place, &config, dir, &["without", "with"]);
    assert!(matches!(heard, EngineMessage::Ready), "{heard:?}");
    let mut scores = |rows: &[usize]| {
        engine.rows(Collator::new(&data).batch(rows)).unwrap();
        let EngineMessage::Scores(scores) = engine.recv(WAIT) else { panic!("no scores") };
        scores
    };
    let rows = data.of_split(Split::Test);
    let lengths = data.inputs.lengths();
    assert!(rows.iter().any(|row| lengths[*row] != lengths[rows[0]]));
    let together = scores(&rows);
    for (row, together) in rows.iter().zip(together.chunks(2)) {
        let alone = scores(&[*row]);
        let apart = alone.iter().zip(together).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-5, "row {row}: {alone:?} {together:?}");
    }
}
