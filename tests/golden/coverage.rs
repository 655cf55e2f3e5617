//! Which views, SQL tables and indexes take which kinds of events. A kind that nobody takes, or
//! that a view takes no more, is then seen in the difference of one picture.

use std::fmt::Write as _;

use annals::domain::{HOLDING, Kind, all_kinds};
use annals::{port, projection};

#[test]
fn coverage_of_kinds_by_views() {
    let views = projection::ALL.iter().map(|view| (view.name.to_owned(), view.kinds));
    let tables = port::table::ALL
        .iter()
        .filter_map(|table| Some((format!("sql {}", table.name), table.kinds?)));
    let takers: Vec<(String, &[Kind])> =
        views.chain(tables).chain([("blob uses".to_owned(), &HOLDING[..])]).collect();
    let mut picture = String::new();
    for info in all_kinds() {
        let of_kind = takers.iter().filter(|(_, kinds)| kinds.contains(&info.kind));
        let names: Vec<&str> = of_kind.map(|(name, _)| name.as_str()).collect();
        let names = if names.is_empty() { "-".to_owned() } else { names.join(", ") };
        writeln!(picture, "{}: {names}", info.name).expect("a String takes all");
    }
    insta::assert_snapshot!(picture);
}
