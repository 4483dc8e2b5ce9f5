//! How much work a settings schema can take, found out before a validator is built from it.
//!
//! A reference costs what it points at, each time: a definition of two references to the one before, n deep, costs 2^n
//! though its text is short. Costs are remembered by definition, so counting takes one visit of each schema.

use std::collections::{HashMap, HashSet};
use std::ptr;

use serde_json::Value;
use thiserror::Error;

use super::diff::pointer_to;
use super::error::{ManifestError, ManifestFault};

/// Bytes of a settings schema, written compactly.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// Values within values of a settings schema, and schemas within schemas when all references are followed.
pub const SCHEMA_DEPTH_MAX: usize = 64;
/// Values of a settings schema with each reference replaced by what it points at.
pub const SCHEMA_COST_MAX: u64 = 100_000;

/// What a regular expression costs beside its characters.
const PATTERN_COST: u64 = 32;
/// The one dialect that is read.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Why a settings schema is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaFault {
    /// Longer than [`SCHEMA_BYTES_MAX`].
    #[error("{bytes} bytes; a schema has at most {SCHEMA_BYTES_MAX}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Deeper than [`SCHEMA_DEPTH_MAX`].
    #[error("nested deeper than {SCHEMA_DEPTH_MAX} levels, with references followed")]
    TooDeep,
    /// Costlier than [`SCHEMA_COST_MAX`].
    #[error("{cost} values with references followed; there may be {SCHEMA_COST_MAX}")]
    TooCostly {
        /// What it costs.
        cost: u64,
    },
    /// Another dialect.
    #[error("the dialect must be `{DIALECT}`")]
    Dialect,
    /// A keyword that changes what references mean.
    #[error(
        "`{keyword}` is not supported: put shared schemas into `$defs` and write `\"$ref\": \"#/$defs/...\"`"
    )]
    Keyword {
        /// Which.
        keyword: &'static str,
    },
    /// A reference that leaves the document, or points at no schema of it.
    #[error("must point at a schema of this document, such as `#/$defs/name`; nothing is fetched")]
    Reference,
    /// A reference that leads back to itself.
    #[error("leads back to itself; settings can't be recursive")]
    Recursive,
    /// A regular expression that is none, or that can't be matched in linear time and little memory.
    #[error("not a regular expression, or one with look-around, back-references or too many states")]
    Pattern,
    /// Not a schema.
    #[error("not a JSON Schema: {detail}")]
    Invalid {
        /// What is wrong.
        detail: String,
    },
}

impl SchemaFault {
    /// The code that stays the same over versions.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "schema_too_long",
            Self::TooDeep => "schema_too_deep",
            Self::TooCostly { .. } => "schema_too_costly",
            Self::Dialect => "schema_dialect",
            Self::Keyword { .. } => "schema_keyword",
            Self::Reference => "schema_reference",
            Self::Recursive => "schema_recursive",
            Self::Pattern => "schema_pattern",
            Self::Invalid { .. } => "schema_invalid",
        }
    }
}

/// The cost of a schema whose text is already bounded.
///
/// # Errors
/// The place, from the schema's root, and what is wrong there.
pub(super) fn cost_of(schema: &Value) -> Result<u64, ManifestError> {
    let root = Path::At("");
    if !is_shallow(schema, SCHEMA_DEPTH_MAX) {
        return Err(root.refuse(SchemaFault::TooDeep));
    }
    check_dialect(schema)?;
    let mut schemas = HashSet::new();
    collect_schemas(schema, &mut schemas);
    let mut counter = Counter { root: schema, schemas, visits: HashMap::new() };
    let cost = counter.visit(schema, &root, 0)?.cost;
    if cost > SCHEMA_COST_MAX {
        return Err(root.refuse(SchemaFault::TooCostly { cost }));
    }
    Ok(cost)
}

/// Whether values are nested at most `levels` deep.
pub(super) fn is_shallow(value: &Value, levels: usize) -> bool {
    let below = |value: &Value| levels > 0 && is_shallow(value, levels - 1);
    match value {
        Value::Array(items) => items.iter().all(below),
        Value::Object(entries) => entries.values().all(below),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// All values in this one, itself included.
pub(super) fn count_values(value: &Value) -> u64 {
    match value {
        Value::Array(items) => 1 + items.iter().map(count_values).sum::<u64>(),
        Value::Object(entries) => 1 + entries.values().map(count_values).sum::<u64>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

fn check_dialect(schema: &Value) -> Result<(), ManifestError> {
    match schema.get("$schema") {
        None => Ok(()),
        Some(Value::String(dialect)) if dialect.trim_end_matches('#') == DIALECT => Ok(()),
        Some(_) => Err(Path::At("/$schema").refuse(SchemaFault::Dialect)),
    }
}

/// Where the walk is, on the stack: long keys and many places cost no memory before one of them fails.
enum Path<'a> {
    At(&'a str),
    Below(&'a Path<'a>, &'a str),
}

impl Path<'_> {
    fn pointer(&self) -> String {
        match self {
            Self::At(pointer) => (*pointer).to_owned(),
            Self::Below(parent, key) => pointer_to(&parent.pointer(), key),
        }
    }

    fn refuse(&self, fault: SchemaFault) -> ManifestError {
        ManifestError { pointer: self.pointer(), fault: ManifestFault::Schema(fault) }
    }
}

/// What stands at a keyword.
enum Operand {
    Schema,
    SchemaList,
    SchemaMap,
    PatternMap,
    /// Schemas that count only where they are referred to.
    Definitions,
    Reference,
    Pattern,
    /// A keyword that would change what references mean.
    Refused(&'static str),
    Plain,
}

/// The keywords of draft 2020-12, with those of older drafts that it still reads.
fn operand_of(keyword: &str) -> Operand {
    match keyword {
        "additionalProperties"
        | "contains"
        | "contentSchema"
        | "else"
        | "if"
        | "items"
        | "not"
        | "propertyNames"
        | "then"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Operand::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Operand::SchemaList,
        "dependencies" | "dependentSchemas" | "properties" => Operand::SchemaMap,
        "patternProperties" => Operand::PatternMap,
        "$defs" | "definitions" => Operand::Definitions,
        "$ref" => Operand::Reference,
        "pattern" => Operand::Pattern,
        "$anchor" => Operand::Refused("$anchor"),
        "$dynamicAnchor" => Operand::Refused("$dynamicAnchor"),
        "$dynamicRef" => Operand::Refused("$dynamicRef"),
        "$id" => Operand::Refused("$id"),
        "$recursiveAnchor" => Operand::Refused("$recursiveAnchor"),
        "$recursiveRef" => Operand::Refused("$recursiveRef"),
        _ => Operand::Plain,
    }
}

/// The schemas directly in what stands at a keyword, each with its key there; with no key where the operand itself is
/// the schema. What has the wrong shape is left to the validator's own check.
fn schemas_at<'a>(operand: &Operand, value: &'a Value) -> Vec<(Option<String>, &'a Value)> {
    let mut schemas: Vec<(Option<String>, &Value)> = match (operand, value) {
        (Operand::Schema, schema) => vec![(None, schema)],
        (Operand::SchemaList, Value::Array(list)) => {
            list.iter().enumerate().map(|(index, schema)| (Some(index.to_string()), schema)).collect()
        }
        (Operand::SchemaMap | Operand::PatternMap | Operand::Definitions, Value::Object(map)) => {
            map.iter().map(|(key, schema)| (Some(key.clone()), schema)).collect()
        }
        _ => Vec::new(),
    };
    schemas.retain(|(_, schema)| schema.is_object() || schema.is_boolean());
    schemas
}

/// Finds all places of schemas, for references may point at these only. Values are told apart by their addresses.
fn collect_schemas(schema: &Value, found: &mut HashSet<*const Value>) {
    found.insert(ptr::from_ref(schema));
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        for (_, below) in schemas_at(&operand_of(keyword), value) {
            collect_schemas(below, found);
        }
    }
}

/// What one schema takes, references followed.
#[derive(Clone, Copy)]
struct Weight {
    cost: u64,
    /// Levels of schemas below it.
    height: usize,
}

enum Visit {
    UnderWay,
    Done(Weight),
}

struct Counter<'a> {
    root: &'a Value,
    schemas: HashSet<*const Value>,
    visits: HashMap<*const Value, Visit>,
}

impl Counter<'_> {
    fn visit(&mut self, schema: &Value, path: &Path<'_>, depth: usize) -> Result<Weight, ManifestError> {
        let identity = ptr::from_ref(schema);
        if let Some(Visit::Done(weight)) = self.visits.get(&identity) {
            let fits = depth + weight.height <= SCHEMA_DEPTH_MAX;
            return if fits { Ok(*weight) } else { Err(path.refuse(SchemaFault::TooDeep)) };
        }
        if depth > SCHEMA_DEPTH_MAX {
            return Err(path.refuse(SchemaFault::TooDeep));
        }
        self.visits.insert(identity, Visit::UnderWay);
        let mut weight = Weight { cost: 1, height: 0 };
        let mut looks_twice = false;
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            let part = self.visit_keyword(keyword, value, &Path::Below(path, keyword), depth)?;
            weight.cost = weight.cost.saturating_add(part.cost);
            weight.height = weight.height.max(part.height);
            looks_twice |= keyword.starts_with("unevaluated");
        }
        if looks_twice {
            // What its neighbours have evaluated is found out by going through them once more.
            weight.cost = weight.cost.saturating_mul(2);
        }
        self.visits.insert(identity, Visit::Done(weight));
        Ok(weight)
    }

    fn visit_keyword(
        &mut self,
        keyword: &str,
        value: &Value,
        path: &Path<'_>,
        depth: usize,
    ) -> Result<Weight, ManifestError> {
        let operand = operand_of(keyword);
        match operand {
            Operand::Refused(keyword) => Err(path.refuse(SchemaFault::Keyword { keyword })),
            Operand::Reference => self.follow(value, path, depth),
            Operand::Pattern => {
                Ok(Weight { cost: pattern_cost(value.as_str().unwrap_or_default()), height: 0 })
            }
            Operand::Plain => Ok(Weight { cost: count_values(value), height: 0 }),
            Operand::Schema
            | Operand::SchemaList
            | Operand::SchemaMap
            | Operand::PatternMap
            | Operand::Definitions => {
                let mut weight = Weight { cost: 1, height: 0 };
                for (key, schema) in schemas_at(&operand, value) {
                    let place = key.as_ref().map(|key| Path::Below(path, key));
                    let part = self.visit(schema, place.as_ref().unwrap_or(path), depth + 1)?;
                    weight.cost = weight.cost.saturating_add(part.cost);
                    weight.height = weight.height.max(part.height + 1);
                    if let (Operand::PatternMap, Some(pattern)) = (&operand, &key) {
                        weight.cost = weight.cost.saturating_add(pattern_cost(pattern));
                    }
                }
                let counts = !matches!(operand, Operand::Definitions);
                Ok(if counts { weight } else { Weight { cost: 1, height: 0 } })
            }
        }
    }

    fn follow(&mut self, reference: &Value, path: &Path<'_>, depth: usize) -> Result<Weight, ManifestError> {
        let wrong = || path.refuse(SchemaFault::Reference);
        let fragment = reference.as_str().and_then(|text| text.strip_prefix('#')).ok_or_else(wrong)?;
        // Percent-encoding would give one place two names.
        let target = self.root.pointer(fragment).filter(|_| !fragment.contains('%')).ok_or_else(wrong)?;
        let identity = ptr::from_ref(target);
        if !self.schemas.contains(&identity) {
            return Err(wrong());
        }
        if let Some(Visit::UnderWay) = self.visits.get(&identity) {
            return Err(path.refuse(SchemaFault::Recursive));
        }
        let weight = self.visit(target, &Path::At(fragment), depth + 1)?;
        Ok(Weight { cost: weight.cost.saturating_add(1), height: weight.height + 1 })
    }
}

fn pattern_cost(pattern: &str) -> u64 {
    PATTERN_COST + u64::try_from(pattern.len()).unwrap_or(u64::MAX)
}
