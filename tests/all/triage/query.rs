//! Laws of the query language.

use epsiloscope::triage::query::{
    ClassColumn, ClassValue, ComparisonOperator, Filter, Flag, Moment, NumberColumn, Query, Sort,
    SortBy, Vocabulary,
};
use proptest::prelude::*;

use crate::support::cases;

const MODELS: usize = 3;

/// Names that could be taken for something else.
const NAMES: [&str; 9] = [
    "cat",
    "true",
    "a.pred",
    "sort",
    "class 0",
    "7",
    "quo\"te\\",
    "Bär-1",
    "",
];

fn vocabulary() -> Vocabulary {
    Vocabulary {
        models: MODELS,
        classes: NAMES.map(str::to_owned).to_vec(),
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(NAMES.map(str::to_owned).to_vec()),
        any::<String>().prop_filter("shorter", |name| name.len() < 20),
    ]
}

fn leaf() -> impl Strategy<Value = Filter> {
    let class = || prop::sample::select(ClassColumn::all(MODELS));
    let value = prop_oneof![
        prop::sample::select(NAMES.to_vec()).prop_map(|name| ClassValue::Named(name.into())),
        class().prop_map(ClassValue::Column),
    ];
    let comparison = prop::sample::select(vec![
        ComparisonOperator::Less,
        ComparisonOperator::AtMost,
        ComparisonOperator::Greater,
        ComparisonOperator::AtLeast,
        ComparisonOperator::Equal,
        ComparisonOperator::Unequal,
    ]);
    let number = any::<f32>().prop_filter("a number", |number| number.is_finite());
    prop_oneof![
        prop::sample::select(Flag::all(MODELS)).prop_map(Filter::Flag),
        (class(), any::<bool>(), value)
            .prop_map(|(column, equal, value)| Filter::Class(column, equal, value)),
        (
            prop::sample::select(NumberColumn::all(MODELS)),
            comparison,
            number
        )
            .prop_map(|(column, comparison, value)| Filter::Number(column, comparison, value)),
        name().prop_map(Filter::Tag),
        name().prop_map(Filter::Path),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
}

fn sort() -> impl Strategy<Value = Sort> {
    let by = prop_oneof![
        prop::sample::select(NumberColumn::all(MODELS)).prop_map(SortBy::Number),
        prop::sample::select(ClassColumn::all(MODELS)).prop_map(SortBy::Class),
        Just(SortBy::Path),
    ];
    (by, any::<bool>()).prop_map(|(by, descending)| Sort { by, descending })
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn a_query_is_its_text(filter in prop::option::of(filter()), sort in prop::option::of(sort())) {
        let query = Query { filter, sort };
        let text = query.to_string();
        prop_assert_eq!(Query::parse(&text, &vocabulary()), Ok(query), "{}", text);
    }

    #[test]
    fn any_text_is_a_query_or_a_mistake_in_it(text in "[a-c.=<>~() \"\\\\ndotrueslashpath0-9/\u{e9}]{0,40}") {
        match Query::parse(&text, &vocabulary()) {
            Ok(query) => {
                let again = Query::parse(&query.to_string(), &vocabulary());
                prop_assert_eq!(again, Ok(query));
            }
            Err(mistake) => prop_assert!(mistake.at <= text.chars().count()),
        }
    }
}

fn parse(text: &str) -> Query {
    Query::parse(text, &vocabulary()).unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
}

#[test]
fn what_people_write_is_understood() {
    let both = |parts: Vec<Filter>| Query::from(Filter::And(parts));
    let right = Filter::Flag(Flag::Right(0, Moment::Clean));
    let lost = Filter::Not(Box::new(Filter::Flag(Flag::Right(1, Moment::Attacked))));
    assert_eq!(
        parse("a.right and not b.attacked.right"),
        both(vec![right.clone(), lost])
    );
    let small = Filter::Number(
        NumberColumn::Flip(0),
        ComparisonOperator::AtMost,
        8.0 / 255.0,
    );
    assert_eq!(parse("a.flip ≤ 8/255"), small.clone().into());
    // “and” binds closer than “or”.
    let loose = parse("disagree or a.right and a.flip <= 8/255");
    let tight = Filter::And(vec![right.clone(), small]);
    let disagree = Filter::Flag(Flag::Disagree(Moment::Clean));
    assert_eq!(loose, Filter::Or(vec![disagree, tight]).into());
    assert_eq!(
        parse("confident but wrong"),
        Filter::Flag(Flag::ConfidentButWrong).into()
    );
    let sorted = parse("true = cat sort by a.confidence asc");
    assert!(sorted.sort.is_some_and(|sort| !sort.descending));
    // A click adds to what is there, and the text shows it.
    let clicked = sorted.and(right);
    assert_eq!(
        clicked.to_string(),
        "true = cat and a.right sort by a.confidence"
    );
    assert_eq!(parse(""), Query::default());
    assert_eq!(parse("true = 7").to_string(), "true = \"7\"");
}

#[test]
fn mistakes_are_found_where_they_are() {
    for (text, at, what) in [
        ("a.right and", 11, "a column is wanted"),
        ("a.right or d.right", 11, "no column is called “d.right”"),
        ("true = dog", 7, "no class is called “dog”; there are cat"),
        ("(a.right", 8, "“)” is wanted"),
        ("a.flip < cat", 9, "a number is wanted"),
        ("a.flip 3", 7, "a comparison is wanted"),
        ("é = ", 0, "no column is called “é”"),
        ("tag = \"open", 6, "no end"),
        ("a.right b.right", 8, "is wanted"),
        ("a.flip < 1/0", 9, "is no number"),
        ("a.right sort by cat", 16, "to sort by"),
        ("a.right & b.right", 8, "“&” means nothing"),
    ] {
        let mistake = Query::parse(text, &vocabulary()).expect_err(text);
        assert_eq!(mistake.at, at, "{text}: {mistake}");
        assert!(mistake.to_string().contains(what), "{text}: {mistake}");
    }
    let deep = format!("{}a.right{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(Query::parse(&deep, &vocabulary()).is_err());
    assert!(Query::parse(&"not ".repeat(100_000), &vocabulary()).is_err());
}
