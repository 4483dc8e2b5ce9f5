//! What an upload consists of, counted before any compiler sees it.
//!
//! A compiler's time and memory grow faster than its input, and its worst bugs are in oversized things. So each count
//! that feeds it has a limit far below what browsers take, and far above what toolchains make.

use std::ops::AddAssign;

use hookmill_core::limits::PLUGIN_BYTES_MAX;
use hookmill_core::port::plugins::PluginRejected;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, Encoding, FunctionBody, Operator, Parser, Payload, RecGroup,
};

use crate::limits::{
    BLOCK_NESTING_MAX, BR_TABLE_TARGETS_MAX, COMPONENTS_MAX, CORE_MODULES_MAX, CUSTOM_SECTION_BYTES_MAX,
    DEFINITIONS_MAX, FUNCTION_BODY_BYTES_MAX, FUNCTION_LOCALS_MAX, FUNCTIONS_MAX, MEMORIES_MAX, NESTING_MAX,
    PARAMETERS_MAX, REFUSAL_BYTES_MAX, RESULTS_MAX, SEGMENTS_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX, TYPES_MAX,
};

const WASM_PAGE_BYTES: u64 = 64 << 10;

/// What the outermost layer of an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A core module; its component type may be embedded.
    CoreModule,
    /// A component.
    Component,
}

/// Counts what the upload consists of.
///
/// # Errors
/// Bytes that are no WebAssembly, or the first limit that is broken.
pub(crate) fn check(upload: &[u8], memory_bytes_max: usize) -> Result<Kind, PluginRejected> {
    check_outside(upload)?;
    let mut counts = Counts::default();
    let mut kind = None;
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(upload) {
        let payload = payload.map_err(|error| malformed(&error))?;
        match &payload {
            Payload::Version { encoding, .. } => {
                depth += 1;
                limit("nested components and modules", depth as u64, NESTING_MAX as u64)?;
                let module = *encoding == Encoding::Module;
                counts.add(if module { &CORE_MODULES } else { &COMPONENTS }, 1)?;
                kind.get_or_insert(if module { Kind::CoreModule } else { Kind::Component });
            }
            Payload::End(_) => depth -= 1,
            _ => counts.section(&payload, memory_bytes_max)?,
        }
    }
    kind.ok_or_else(|| rejected("plugin_malformed", "the upload ends before its first section".into()))
}

/// Whether the upload is WebAssembly at first sight.
///
/// # Errors
/// Too many bytes, or bytes of something else.
pub(crate) fn check_outside(upload: &[u8]) -> Result<(), PluginRejected> {
    if upload.len() > PLUGIN_BYTES_MAX {
        return Err(rejected(
            "plugin_too_large",
            format!("the upload has {} bytes, a plugin has at most {PLUGIN_BYTES_MAX}", upload.len()),
        ));
    }
    if !upload.starts_with(b"\0asm") {
        return Err(rejected(
            "plugin_not_wasm",
            "the upload is not WebAssembly: it does not begin with `\\0asm`; send the .wasm file itself"
                .into(),
        ));
    }
    Ok(())
}

/// One thing that is counted over the whole upload.
struct Counted {
    index: usize,
    name: &'static str,
    max: u64,
}

const fn counted(index: usize, name: &'static str, max: u64) -> Counted {
    Counted { index, name, max }
}

const CORE_MODULES: Counted = counted(0, "core modules", CORE_MODULES_MAX);
const COMPONENTS: Counted = counted(1, "components", COMPONENTS_MAX);
const FUNCTIONS: Counted = counted(2, "functions", FUNCTIONS_MAX);
const TYPES: Counted = counted(3, "types", TYPES_MAX);
const DEFINITIONS: Counted = counted(4, "imports, exports, aliases, globals and instances", DEFINITIONS_MAX);
const SEGMENTS: Counted = counted(5, "element and data segments", SEGMENTS_MAX);
const CUSTOM_BYTES: Counted =
    counted(6, "bytes of custom sections (names and debug information)", CUSTOM_SECTION_BYTES_MAX as u64);
const MEMORIES: Counted = counted(7, "memories", MEMORIES_MAX as u64);
const TABLES: Counted = counted(8, "tables", TABLES_MAX as u64);
const COUNTED: usize = 9;

#[derive(Default)]
struct Counts {
    totals: [u64; COUNTED],
    memory_bytes: u64,
}

impl Counts {
    fn add(&mut self, what: &Counted, count: u64) -> Result<(), PluginRejected> {
        self.totals[what.index].add_assign(count);
        limit(what.name, self.totals[what.index], what.max)
    }

    /// Counts one section; bodies of functions are sections here.
    fn section(&mut self, payload: &Payload<'_>, memory_bytes_max: usize) -> Result<(), PluginRejected> {
        match payload {
            Payload::TypeSection(section) => {
                self.add(&TYPES, section.count().into())?;
                section
                    .clone()
                    .into_iter()
                    .try_for_each(|group| arity(&group.map_err(|error| malformed(&error))?))
            }
            Payload::CoreTypeSection(section) => self.add(&TYPES, section.count().into()),
            Payload::ComponentTypeSection(section) => self.add(&TYPES, section.count().into()),
            Payload::ImportSection(section) => self.add(&DEFINITIONS, section.count().into()),
            Payload::ExportSection(section) => self.add(&DEFINITIONS, section.count().into()),
            Payload::GlobalSection(section) => self.add(&DEFINITIONS, section.count().into()),
            Payload::TagSection(section) => self.add(&DEFINITIONS, section.count().into()),
            Payload::InstanceSection(section) => self.add(&DEFINITIONS, section.count().into()),
            Payload::ComponentInstanceSection(section) => self.add(&DEFINITIONS, section.count().into()),
            Payload::ComponentAliasSection(section) => self.add(&DEFINITIONS, section.count().into()),
            Payload::ComponentImportSection(section) => self.add(&DEFINITIONS, section.count().into()),
            Payload::ComponentExportSection(section) => self.add(&DEFINITIONS, section.count().into()),
            Payload::ComponentCanonicalSection(section) => self.add(&FUNCTIONS, section.count().into()),
            Payload::FunctionSection(section) => self.add(&FUNCTIONS, section.count().into()),
            Payload::ElementSection(section) => self.add(&SEGMENTS, section.count().into()),
            Payload::DataSection(section) => self.add(&SEGMENTS, section.count().into()),
            Payload::CustomSection(section) => self.add(&CUSTOM_BYTES, section.data().len() as u64),
            Payload::MemorySection(section) => {
                limit("memories of one module", section.count().into(), 1)?;
                for memory in section.clone() {
                    self.add(&MEMORIES, 1)?;
                    let pages = memory.map_err(|error| malformed(&error))?.initial;
                    self.memory_bytes =
                        self.memory_bytes.saturating_add(pages.saturating_mul(WASM_PAGE_BYTES));
                    limit("bytes of initial memory", self.memory_bytes, memory_bytes_max as u64)?;
                }
                Ok(())
            }
            Payload::TableSection(section) => {
                for table in section.clone() {
                    self.add(&TABLES, 1)?;
                    let elements = table.map_err(|error| malformed(&error))?.ty.initial;
                    limit("elements of a table", elements, TABLE_ELEMENTS_MAX as u64)?;
                }
                Ok(())
            }
            Payload::CodeSectionEntry(body) => function(body),
            // Modules and components inside announce themselves by a version; what is left has no size of its own,
            // or is refused when the upload is validated.
            _ => Ok(()),
        }
    }
}

/// Measures the function types of one group.
fn arity(group: &RecGroup) -> Result<(), PluginRejected> {
    for kind in group.types() {
        if let CompositeInnerType::Func(function) = &kind.composite_type.inner {
            limit("parameters of a function", function.params().len() as u64, PARAMETERS_MAX as u64)?;
            limit("results of a function", function.results().len() as u64, RESULTS_MAX as u64)?;
        }
    }
    Ok(())
}

/// Measures one function.
fn function(body: &FunctionBody<'_>) -> Result<(), PluginRejected> {
    limit("bytes of a function's body", body.range().len() as u64, FUNCTION_BODY_BYTES_MAX as u64)?;
    let mut locals = 0_u64;
    for local in body.get_locals_reader().map_err(|error| malformed(&error))? {
        let (count, _) = local.map_err(|error| malformed(&error))?;
        locals += u64::from(count);
        limit("local variables of a function", locals, FUNCTION_LOCALS_MAX)?;
    }
    let mut operators = body.get_operators_reader().map_err(|error| malformed(&error))?;
    let mut depth = 0_usize;
    while !operators.eof() {
        match operators.read().map_err(|error| malformed(&error))? {
            Operator::BrTable { targets } => {
                limit("targets of a br_table", targets.len().into(), BR_TABLE_TARGETS_MAX.into())?;
            }
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                depth += 1;
                limit("blocks within blocks", depth as u64, BLOCK_NESTING_MAX as u64)?;
            }
            Operator::End => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

fn limit(what: &str, count: u64, max: u64) -> Result<(), PluginRejected> {
    if count <= max {
        return Ok(());
    }
    Err(rejected("plugin_structure_limit", format!("the plugin has {count} {what}, at most {max} are taken")))
}

pub(crate) fn malformed(error: &BinaryReaderError) -> PluginRejected {
    let message = format!("the upload is damaged or cut off at byte {}: {}", error.offset(), error.message());
    rejected("plugin_malformed", message)
}

/// A refusal. Names in an upload may be as long as the upload; what is said of them may not.
pub(crate) fn rejected(code: &'static str, mut message: String) -> PluginRejected {
    if message.len() > REFUSAL_BYTES_MAX {
        message.truncate(message.floor_char_boundary(REFUSAL_BYTES_MAX));
        message.push_str("...");
    }
    PluginRejected { code, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: usize = 32 << 20;

    fn check_bytes(upload: &[u8], expect: Result<Kind, (&str, &str)>) {
        let got = check(upload, MEMORY);
        match (&got, expect) {
            (Ok(kind), Ok(expected)) => assert_eq!(*kind, expected),
            (Err(rejected), Err((code, part))) => {
                assert_eq!(rejected.code, code, "{rejected}");
                assert!(rejected.message.contains(part), "{rejected}");
            }
            (got, expect) => panic!("got {got:?}, expected {expect:?}"),
        }
    }

    fn check_text(text: &str, expect: Result<Kind, (&str, &str)>) {
        check_bytes(&wat::parse_str(text).unwrap(), expect);
    }

    #[test]
    fn takes_modules_and_components() {
        check_text("(module)", Ok(Kind::CoreModule));
        check_text("(component (core module (func)))", Ok(Kind::Component));
    }

    #[test]
    fn refuses_what_is_not_wasm() {
        check_bytes(b"", Err(("plugin_not_wasm", "\\0asm")));
        check_bytes(b"{\"a\":1}", Err(("plugin_not_wasm", "\\0asm")));
        check_bytes(&vec![0; PLUGIN_BYTES_MAX + 1], Err(("plugin_too_large", "at most 25165824")));
        check_bytes(b"\0asm", Err(("plugin_malformed", "cut off at byte 4")));
        let whole = wat::parse_str("(module (func i32.const 7 drop))").unwrap();
        // Between sections nothing is amiss yet: that the module lacks some is found when it is validated.
        const BETWEEN_SECTIONS: [usize; 2] = [8, 14];
        for cut in 5..whole.len() {
            let cut_off = check(&whole[..cut], MEMORY).is_err();
            assert_eq!(cut_off, !BETWEEN_SECTIONS.contains(&cut), "cut at {cut}");
        }
    }

    #[test]
    fn refuses_what_would_choke_a_compiler() {
        let structure = |part| Err(("plugin_structure_limit", part));
        check_text(&format!("(module {})", "(func)".repeat(60_001)), structure("60001 functions"));
        let targets = "0 ".repeat(16_386);
        check_text(
            &format!("(module (func (block (br_table {targets} (i32.const 0)))))"),
            structure("16385 targets of a br_table"),
        );
        check_text(&format!("(module (func (local {})))", "i32 ".repeat(20_001)), structure("20001 local"));
        check_text(
            &format!("(module (func {}))", "i32.const 0 drop ".repeat(180_000)),
            structure("bytes of a function's body"),
        );
        check_text(&format!("(component {})", "(core module)".repeat(25)), structure("25 core modules"));
        check_text(
            "(component (component (component (component (component)))))",
            structure("5 nested components"),
        );
        let nested = format!("(module (func {} {}))", "block ".repeat(4097), "end ".repeat(4097));
        check_text(&nested, structure("4097 blocks within blocks"));
        check_text(
            &format!("(module (func (param {})))", "i32 ".repeat(257)),
            structure("257 parameters of a function"),
        );
        let results = format!("(module (func (result {}) unreachable))", "i32 ".repeat(33));
        check_text(&results, structure("33 results of a function"));
        check_text("(module (memory 513))", structure("bytes of initial memory"));
        check_text("(module (table 50001 funcref))", structure("50001 elements of a table"));
        check_text(&format!("(module {})", "(table 1 funcref)".repeat(9)), structure("9 tables"));
        let types: String = (0..20_001).map(|index| format!("(type $t{index} (func))")).collect();
        check_text(&format!("(module {types})"), structure("20001 types"));
        let custom = format!("(module (@custom \"x\" \"{}\"))", "a".repeat(CUSTOM_SECTION_BYTES_MAX + 1));
        check_text(&custom, structure("bytes of custom sections"));
    }
}
