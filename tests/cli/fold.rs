//! What `diff`, `why`, `audit` and `--as-of` say, against a plain fold over the exported events
//! that knows nothing of the program's views.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::Workspace;

/// What is known of one thing: section, name and field, and the value.
type Cells = BTreeMap<(String, String, String), String>;

/// Every event of the log, oldest first.
pub fn events(ward: &Workspace) -> Vec<Value> {
    let args = ["log", "-n", "1000000", "--format", "jsonl"];
    let out = ward.annals(&args).ok().out;
    let mut events: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    events.reverse();
    for (position, event) in events.iter().enumerate() {
        assert_eq!(event["position"], position as u64);
    }
    events
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// One run, folded.
#[derive(Default, Debug)]
struct Run {
    id: String,
    unique: String,
    name: String,
    folder: String,
    status: &'static str,
    category: String,
    tags: Vec<String>,
    pinned: bool,
    archive: Option<String>,
    packed: bool,
    deleted: bool,
    notes: u64,
    candidate: Option<String>,
    metrics: BTreeMap<String, f64>,
    files: BTreeMap<String, String>,
}

/// One version of a production model, folded.
#[derive(Debug)]
struct Version {
    semver: [u64; 3],
    run: String,
    path: String,
    files: Vec<(String, String)>,
    promoted: u64,
    request: String,
    policy_revision: u64,
}

/// Everything, folded.
#[derive(Default, Debug)]
struct State {
    runs: BTreeMap<String, Run>,
    /// The runs in the order they began.
    order: Vec<String>,
    models: BTreeMap<String, Vec<Version>>,
    current: BTreeMap<String, u64>,
    aliases: BTreeMap<String, (String, u64)>,
    requests: BTreeMap<String, (String, &'static str, Vec<String>)>,
    policy: Value,
    revision: u64,
    moves: BTreeMap<String, (String, &'static str)>,
    keys: BTreeMap<String, String>,
    others: Cells,
}

fn fold(events: &[Value]) -> State {
    let mut state = State::default();
    for event in events {
        let kind = event["kind"].as_str().unwrap();
        let stream = event["stream"].as_str().unwrap();
        // What was taken out says nothing any more.
        if event["event"].get("unreadable").is_some() {
            continue;
        }
        match kind.split_once('.').unwrap_or((kind, "")) {
            ("run" | "candidate", _) => run_event(&mut state, kind, stream, &event["event"]),
            ("promotion" | "model", _) => {
                registry_event(&mut state, kind, event);
            }
            ("policy", _) => {
                state.policy = event["event"]["policy"].clone();
                state.revision = event["revision"].as_u64().unwrap();
            }
            ("move", what) => {
                let id = stream.strip_prefix("move/").unwrap()[..8].to_owned();
                let known = state.moves.entry(id).or_default();
                let e = &event["event"];
                match what {
                    "planned" => {
                        *known = (format!("{} to {}", text(&e["from"]), text(&e["to"])), "planned");
                    }
                    "completed" => known.1 = "completed",
                    _ => known.1 = "rolled back",
                }
            }
            _ => other_event(&mut state, kind, &event["event"]),
        }
    }
    state
}

fn other_event(state: &mut State, kind: &str, e: &Value) {
    let mut other = |section: &str, name: &str, field: &str, value: String| {
        state.others.insert((section.into(), name.into(), field.into()), value);
    };
    match kind {
        "workspace.created" => other("workspace", "project", "name", text(&e["project"])),
        "logs.packed" => other("file", &text(&e["name"]), "digest", text(&e["digest"])),
        "layout.changed" => other("workspace", "layout", "kind", text(&e["to"])),
        "snapshot.taken" => {
            let name = format!("snapshot {}", &text(&e["manifest"])[..8]);
            other("workspace", &name, "files", e["files"].to_string());
        }
        "blobs.removed" => {
            for digest in list(&e["digests"]) {
                other("file", &format!("blob {}", text(digest)), "state", "removed".into());
            }
        }
        "key.created" => drop(state.keys.insert(text(&e["owner"]), text(&e["public_key"]))),
        _ => {}
    }
}

fn run_event(state: &mut State, kind: &str, stream: &str, e: &Value) {
    let id = stream.strip_prefix("run/").unwrap().to_owned();
    if kind == "run.started" {
        state.order.push(id.clone());
    }
    let run = state.runs.entry(id.clone()).or_default();
    run.id = id;
    match kind {
        "run.started" => {
            run.unique = text(&e["experiment_id"]);
            run.name = text(&e["name"]);
            run.folder = text(&e["folder"]);
            run.tags = list(&e["tags"]).map(text).collect();
            run.category = "baseline".into();
            run.status = "running";
        }
        "run.classified" => run.category = text(&e["category"]),
        "run.finished" => {
            run.status = "finished";
            for metric in list(&e["metrics"]) {
                let name = series(&metric["key"]);
                run.metrics.insert(name, metric["value"].as_f64().unwrap());
            }
        }
        "run.metrics_recorded" => {
            let batch = &e["batch"];
            for (key, value) in list(&batch["key"]).zip(list(&batch["value"])) {
                let key = &batch["keys"][usize::try_from(key.as_u64().unwrap()).unwrap()];
                run.metrics.insert(series(key), value.as_f64().unwrap());
            }
        }
        "run.failed" => run.status = "failed",
        "run.interrupted" => run.status = "interrupted",
        "run.tagged" => {
            let removed: Vec<String> = list(&e["removed"]).map(text).collect();
            run.tags.retain(|tag| !removed.contains(tag));
            run.tags.extend(list(&e["added"]).map(text));
        }
        "run.noted" => run.notes += 1,
        "run.pinned" => run.pinned = true,
        "run.unpinned" => run.pinned = false,
        "run.renamed" => run.name = text(&e["new"]),
        "run.relocated" => {
            run.folder = text(&e["folder"]);
            for renamed in list(&e["renamed"]) {
                if let Some(digest) = run.files.remove(renamed["from"].as_str().unwrap()) {
                    run.files.insert(text(&renamed["to"]), digest);
                }
            }
        }
        "run.archived" => {
            run.folder = text(&e["folder"]);
            run.archive = Some(text(&e["archive"]));
            run.packed = !e["packed"].is_null();
            for file in list(&e["dropped"]) {
                run.files.remove(file["path"].as_str().unwrap());
            }
        }
        "run.restored" => {
            run.folder = text(&e["folder"]);
            (run.archive, run.packed) = (None, false);
            for file in list(&e["recovered"]) {
                run.files.insert(text(&file["path"]), text(&file["digest"]));
            }
        }
        "run.deleted" => {
            run.deleted = true;
            run.files.clear();
        }
        "run.artifact_stored" => {
            let path = if e["path"].is_null() { &e["name"] } else { &e["path"] };
            run.files.insert(text(path), text(&e["digest"]));
        }
        "candidate.assessed" => {
            let met = if e["candidate"] == true { "yes" } else { "no" };
            run.candidate = Some(format!("{met}, by policy revision {}", e["policy_revision"]));
        }
        other => panic!("this fold knows no {other}"),
    }
}

fn series(key: &Value) -> String {
    match key["split"].as_str() {
        Some(split) => format!("{split}/{}", text(&key["name"])),
        None => text(&key["name"]),
    }
}

fn registry_event(state: &mut State, kind: &str, event: &Value) {
    let e = &event["event"];
    let name = e["name"].as_str().unwrap_or_default().to_owned();
    let request = e["request"].as_str().unwrap_or_default().to_owned();
    let number = e["number"].as_u64().unwrap_or_default();
    match kind {
        "promotion.requested" => drop(state.requests.insert(request, (name, "open", vec![]))),
        "promotion.approved" => {
            state.requests.get_mut(&request).unwrap().2.push(text(&e["approver"]));
        }
        "promotion.rejected" => state.requests.get_mut(&request).unwrap().1 = "rejected",
        "promotion.refused" => {}
        "model.promoted" => {
            state.requests.get_mut(&request).unwrap().1 = "granted";
            let versions = state.models.entry(name.clone()).or_default();
            // Counted on from the highest that the name ever had.
            let highest = versions.iter().map(|version| version.semver).max();
            let semver = highest.map_or([1, 0, 0], |[major, minor, _]| [major, minor + 1, 0]);
            let file = |f: &Value| (text(&f["path"]), text(&f["digest"]));
            versions.push(Version {
                semver,
                run: text(&e["run"]),
                path: text(&e["path"]),
                files: list(&e["files"]).map(file).collect(),
                promoted: event["position"].as_u64().unwrap(),
                request,
                policy_revision: e["policy_revision"].as_u64().unwrap(),
            });
            let number = versions.len() as u64;
            state.current.insert(name, number);
        }
        "model.demoted" => drop(state.current.remove(&name)),
        "model.rolled_back" => drop(state.current.insert(name, number)),
        "model.version_bumped" => {
            let part = |part: &str| e["to"][part].as_u64().unwrap();
            let semver = [part("major"), part("minor"), part("patch")];
            let index = usize::try_from(number - 1).unwrap();
            state.models.get_mut(&name).unwrap()[index].semver = semver;
        }
        "model.relocated" => {
            for version in state.models.get_mut(&name).unwrap() {
                version.path = text(&e["path"]);
            }
        }
        "model.alias_set" => {
            state.aliases.insert(text(&e["alias"]), (name, number));
        }
        "model.alias_removed" => drop(state.aliases.remove(&text(&e["alias"]))),
        other => panic!("this fold knows no {other}"),
    }
}

impl Version {
    fn called(&self) -> String {
        let [major, minor, patch] = self.semver;
        format!("{major}.{minor}.{patch}")
    }
}

impl State {
    /// The versions in production, by name.
    fn placed(&self) -> impl Iterator<Item = (&String, u64, &Version)> {
        self.current.iter().map(|(name, number)| {
            let index = usize::try_from(number - 1).unwrap();
            (name, *number, &self.models[name][index])
        })
    }

    fn cells(&self) -> Cells {
        let mut cells = self.others.clone();
        let mut set = |section: &str, name: &str, field: &str, value: String| {
            cells.insert((section.into(), name.into(), field.into()), value);
        };
        for run in self.runs.values() {
            let mut of = |field: &str, value: String| set("run", &run.unique, field, value);
            of("name", run.name.clone());
            of("status", run.status.into());
            of("category", run.category.clone());
            of("folder", run.folder.clone());
            if !run.tags.is_empty() {
                of("tags", run.tags.join(" "));
            }
            if run.pinned {
                of("pinned", "yes".into());
            }
            if run.deleted {
                of("archive", "deleted".into());
            } else if let Some(archive) = &run.archive {
                let packed = if run.packed { ", packed" } else { "" };
                of("archive", format!("{archive}{packed}"));
            }
            if run.notes > 0 {
                of("notes", run.notes.to_string());
            }
            if let Some(candidate) = &run.candidate {
                of("candidate", candidate.clone());
            }
            for (name, value) in &run.metrics {
                set("metric", &run.unique, name, value.to_string());
            }
            for (path, digest) in &run.files {
                set("file", &format!("{}/{path}", run.unique), "digest", digest.clone());
            }
        }
        for (name, versions) in &self.models {
            for (number, version) in (1..).zip(versions) {
                set("model", &format!("{name}@{number}"), "version", version.called());
            }
        }
        for (name, number, version) in self.placed() {
            set("model", name, "number", number.to_string());
            set("model", name, "run", self.runs[&version.run].unique.clone());
            for (path, digest) in &version.files {
                set("file", &format!("{}/{path}", version.path), "digest", digest.clone());
            }
        }
        for (alias, (name, number)) in &self.aliases {
            set("alias", alias, "points at", format!("{name}@{number}"));
        }
        for (id, (name, status, approvers)) in &self.requests {
            let name = format!("{name} {}", &id[..8]);
            set("request", &name, "status", (*status).into());
            if !approvers.is_empty() {
                set("request", &name, "approved by", approvers.join(", "));
            }
        }
        for (group, rules) in self.policy.as_object().into_iter().flatten() {
            for (rule, value) in rules.as_object().unwrap() {
                set("policy", &format!("{group}.{rule}"), "value", value.to_string());
            }
        }
        for (id, (way, status)) in &self.moves {
            set("move", id, "way", way.clone());
            set("move", id, "status", (*status).into());
        }
        for (owner, key) in &self.keys {
            set("key", owner, "key", key.clone());
        }
        cells
    }
}

/// `annals diff` names exactly the cells that the folds differ in, and events that lie between.
#[track_caller]
fn diff_agrees(ward: &Workspace, events: &[Value], from: usize, to: usize) {
    let (before, after) = (fold(&events[..=from]).cells(), fold(&events[..=to]).cells());
    let mut expected = BTreeSet::new();
    for key in before.keys().chain(after.keys()) {
        let (old, new) = (before.get(key).cloned(), after.get(key).cloned());
        if old != new {
            expected.insert((key.clone(), old, new));
        }
    }
    let (first, last) = (from.to_string(), to.to_string());
    let args = ["diff", "--from", &first, "--to", &last, "--format", "json"];
    let found = ward.annals(&args).ok().json();
    let mut said = BTreeSet::new();
    for (index, change) in list(&found["changes"]).enumerate() {
        let key = (text(&change["section"]), text(&change["name"]), text(&change["field"]));
        let value = |side: &str| change[side].as_str().map(str::to_owned);
        said.insert((key, value("before"), value("after")));
        let position = usize::try_from(change["position"].as_u64().unwrap()).unwrap();
        assert!((from + 1..=to).contains(&position), "{change:#} from {from} to {to}");
        let event = &events[position];
        assert_eq!(change["kind"], event["kind"]);
        assert_eq!(change["recorded"], event["recorded"]);
        assert_eq!(change["occurred"], event["occurred"]);
        assert_eq!(change["command"], event["words"]);
        // It is the last event that made a difference: right before it, things were not so. A
        // fold of each takes long; some are as good.
        if index % 11 == 0 {
            let key = (text(&change["section"]), text(&change["name"]), text(&change["field"]));
            let then = fold(&events[..position]).cells().get(&key).cloned();
            assert_ne!(then, after.get(&key).cloned(), "{change:#}");
        }
    }
    let missing: Vec<_> = expected.difference(&said).collect();
    let wrong: Vec<_> = said.difference(&expected).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "not said: {missing:#?}\nwrong: {wrong:#?}");
}

/// `--as-of` tells of runs, policy and production what the fold has then.
#[track_caller]
fn as_of_agrees(ward: &Workspace, events: &[Value], at: usize) {
    let state = fold(&events[..=at]);
    let position = at.to_string();
    let ask = |words: &[&str]| {
        ward.annals(&[words, &["--as-of", &position, "--format", "json"]].concat()).ok().json()
    };
    let listed = ask(&["list", "-n", "1000000"]);
    let listed: Vec<&Value> = list(&listed).collect();
    let newest: Vec<&Run> = state.order.iter().rev().map(|id| &state.runs[id]).collect();
    assert_eq!(listed.len(), newest.len(), "runs as of {at}");
    let producing: BTreeSet<&String> = state.placed().map(|(.., version)| &version.run).collect();
    for (line, run) in listed.iter().zip(&newest) {
        let place = match (&run.archive, run.deleted, producing.contains(&run.id)) {
            (_, true, _) => "deleted",
            (Some(archive), ..) => archive,
            (None, _, true) => "production",
            _ => "active",
        };
        assert_eq!(line["experiment_id"], run.unique, "as of {at}");
        for (field, expected) in
            [("status", run.status), ("category", &run.category), ("place", place)]
        {
            assert_eq!(line[field], expected, "{field} of {} as of {at}", run.unique);
        }
    }
    let policy = ask(&["policy", "show"]);
    assert_eq!(policy["policy"], state.policy, "policy as of {at}");
    assert_eq!(policy["revision"], state.revision, "policy as of {at}");
    let status = ask(&["status"]);
    let count = |word: &str| newest.iter().filter(|run| run.status == word).count();
    let open = state.requests.values().filter(|(_, status, _)| *status == "open").count();
    for (field, expected) in [
        ("events", at + 1),
        ("runs", newest.len()),
        ("finished", count("finished")),
        ("failed", count("failed")),
        ("running", count("running")),
        ("production", state.current.len()),
        ("archived", newest.iter().filter(|r| r.archive.is_some() && !r.deleted).count()),
        ("deleted", newest.iter().filter(|run| run.deleted).count()),
    ] {
        assert_eq!(status[field], expected, "{field} as of {at}");
    }
    assert_eq!(list(&status["open_requests"]).count(), open, "requests as of {at}");
    for (name, number, version) in state.placed() {
        let shown = ask(&["show", name]);
        assert_eq!(shown["model"]["number"], number, "{name} as of {at}");
        assert_eq!(shown["model"]["version"], version.called(), "{name} as of {at}");
        assert_eq!(shown["model"]["position"], version.promoted, "{name} as of {at}");
        assert_eq!(shown["state"], "in production", "{name} as of {at}");
        assert_eq!(shown["run"], state.runs[&version.run].unique, "{name} as of {at}");
    }
}

/// Positions of the nodes called `what`, anywhere in a tree.
fn named(node: &Value, what: &str, found: &mut BTreeSet<u64>) {
    if node["what"] == what {
        found.insert(node["position"].as_u64().unwrap());
    }
    list(&node["because"]).for_each(|child| named(child, what, found));
}

/// `annals why` names for each version ever promoted the events that the fold has for it.
#[track_caller]
fn why_agrees(ward: &Workspace, events: &[Value]) {
    let state = fold(events);
    let positions = |fits: &dyn Fn(&Value) -> bool| -> BTreeSet<u64> {
        let fitting = events.iter().filter(|event| fits(event));
        fitting.map(|event| event["position"].as_u64().unwrap()).collect()
    };
    for (name, versions) in &state.models {
        for (number, version) in (1..).zip(versions) {
            let name = format!("{name}@{number}");
            let tree = ward.annals(&["why", &name, "--format", "json"]).ok().json();
            let of_request = |kind: &str| {
                positions(&|e| e["kind"] == kind && e["event"]["request"] == version.request)
            };
            let stream = format!("run/{}", version.run);
            let of_run = |kind: &str| {
                positions(&|e| {
                    let before = e["position"].as_u64().unwrap() <= version.promoted;
                    e["kind"] == kind && e["stream"] == stream && before
                })
            };
            let policy = positions(&|e| {
                e["kind"] == "policy.changed" && e["revision"] == version.policy_revision
            });
            for (what, expected) in [
                ("promotion", BTreeSet::from([version.promoted])),
                ("request", of_request("promotion.requested")),
                ("approval", of_request("promotion.approved")),
                ("policy", policy),
                ("run", of_run("run.started")),
                ("results", of_run("run.finished")),
                ("artifact", of_run("run.artifact_stored")),
            ] {
                let mut found = BTreeSet::new();
                named(&tree, what, &mut found);
                assert_eq!(found, expected, "{what} of {name}");
            }
            let files: Vec<&Value> =
                list(&tree["because"]).filter(|node| node["what"] == "file").collect();
            assert_eq!(files.len(), version.files.len(), "files of {name}");
            for (node, (path, digest)) in files.iter().zip(&version.files) {
                let detail = node["detail"].as_str().unwrap();
                assert!(detail.contains(path) && detail.contains(digest), "{detail} of {name}");
            }
        }
    }
}

/// Nothing that lies in the workspace is questioned: people only used the program.
#[track_caller]
fn audit_agrees(ward: &Workspace) {
    let listed = ward.annals(&["audit", "--list", "--format", "json"]).ok().json();
    let of_files = list(&listed).filter(|check| check["needs_workspace"] == true);
    let mut words = vec!["audit", "--deep", "--fail-on", "note", "--only", "record-damaged"];
    words.extend(["--only", "move-without-end", "--only", "command-without-end"]);
    words.extend(of_files.flat_map(|check| ["--only", check["check"].as_str().unwrap()]));
    let found = ward.annals(&words);
    assert_eq!(found.code, 0, "{}{}", found.out, found.err);
}

/// All of them, at positions that spread over the whole life.
#[track_caller]
pub fn agrees(ward: &Workspace, dice: &mut dyn FnMut(usize) -> usize) {
    audit_agrees(ward);
    let events = events(ward);
    why_agrees(ward, &events);
    // A log begins with its rules, in one transaction.
    let begun = events.iter().position(|event| event["kind"] == "policy.changed").unwrap();
    let mut anywhere = || begun + dice(events.len() - begun);
    for _ in 0..3 {
        as_of_agrees(ward, &events, anywhere());
        let (a, b) = (anywhere(), anywhere());
        diff_agrees(ward, &events, a.min(b), a.max(b));
    }
    let last = events.len() - 1;
    diff_agrees(ward, &events, last.saturating_sub(20), last);
}
