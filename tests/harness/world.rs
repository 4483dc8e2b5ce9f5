//! A world of `wit/` as a core module sees it: the functions it may import, and the one that it has to export.
//!
//! Read from `wit/` itself, so that a function which a world gains is in the hostile corpus and in front of the fuzzer
//! without anyone thinking of it.

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmSignature, WasmType};
use wit_parser::{
    Function, FunctionKind, Handle, InterfaceId, LiftLowerAbi, ManglingAndAbi, Resolve, ResourceIntrinsic,
    Type, TypeDefKind, TypeId, WasmExport, WasmExportKind, WasmImport, WorldId, WorldItem, WorldKey,
};

use crate::fixture::repository;

/// How toolchains spell the names of core functions.
const MANGLING: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);

/// One world.
#[derive(Debug)]
pub struct World {
    resolve: Resolve,
    id: WorldId,
}

/// A function that a core module imports or exports.
#[derive(Debug, Clone)]
pub struct CoreFunction {
    /// The module it is imported from; empty for an export.
    pub module: String,
    /// Its name, as it is in the binary.
    pub name: String,
    /// A shorter one: `request.set-body`, `request.new`, `request.drop`, `log.write`.
    pub label: String,
    /// The resource of each parameter that is a handle, in order; a handle is one value.
    pub handles: Vec<Option<String>>,
    /// Its type, on the core side.
    pub signature: WasmSignature,
}

impl World {
    /// A world by its name, such as `transform-plugin`.
    ///
    /// # Panics
    /// If `wit/` has no such world.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(repository().join("wit")).expect("wit/ is sound");
        let id = resolve.select_world(&[package], Some(name)).expect("wit/ has this world");
        Self { resolve, id }
    }

    /// A world that is several of `wit/` at once.
    ///
    /// # Panics
    /// If `wit/` lacks one of them.
    #[must_use]
    pub fn of_all(names: &[&str]) -> Self {
        let mut resolve = Resolve::default();
        resolve.push_dir(repository().join("wit")).expect("wit/ is sound");
        let includes: String =
            names.iter().map(|name| format!("include hookmill:plugin/{name}@1.0.0;\n")).collect();
        let text = format!("package hostile:plugin;\nworld several {{ {includes} }}");
        let package = resolve.push_str("several.wit", &text).expect("wit/ has these worlds");
        let id = resolve.select_world(&[package], Some("several")).expect("it was just made");
        Self { resolve, id }
    }

    /// All functions that it offers, the drops of its resources among them.
    #[must_use]
    pub fn imports(&self) -> Vec<CoreFunction> {
        let mut functions = Vec::new();
        for (key, item) in &self.resolve.worlds[self.id].imports {
            let WorldItem::Interface { id, .. } = item else { continue };
            for function in self.resolve.interfaces[*id].functions.values() {
                let import = WasmImport::Func { interface: Some(key), func: function };
                let (module, name) = self.resolve.wasm_import_name(MANGLING, import);
                functions.push(CoreFunction {
                    module,
                    name,
                    ..self.core_function(*id, function, AbiVariant::GuestImport)
                });
            }
            functions.extend(self.drops(key, *id));
        }
        functions
    }

    /// The functions that it has to export.
    #[must_use]
    pub fn exports(&self) -> Vec<CoreFunction> {
        let mut functions = Vec::new();
        for (key, item) in &self.resolve.worlds[self.id].exports {
            let WorldItem::Interface { id, .. } = item else { continue };
            for function in self.resolve.interfaces[*id].functions.values() {
                let export =
                    WasmExport::Func { interface: Some(key), func: function, kind: WasmExportKind::Normal };
                let name = self.resolve.wasm_export_name(MANGLING, export);
                functions.push(CoreFunction {
                    name,
                    ..self.core_function(*id, function, AbiVariant::GuestExport)
                });
            }
        }
        functions
    }

    /// The module with the component type of this world in it, as the toolchains of guests leave it.
    ///
    /// # Panics
    /// If the module has a component type that contradicts it.
    #[must_use]
    pub fn embedded_in(&self, module: &[u8]) -> Vec<u8> {
        let mut module = module.to_vec();
        embed_component_metadata(&mut module, &self.resolve, self.id, StringEncoding::UTF8)
            .expect("the world has a type");
        module
    }

    fn core_function(&self, interface: InterfaceId, function: &Function, abi: AbiVariant) -> CoreFunction {
        let resource = |id: TypeId| self.resolve.types[id].name.clone().expect("resources have names");
        let label = match function.kind {
            FunctionKind::Method(id) | FunctionKind::Static(id) => {
                format!("{}.{}", resource(id), function.item_name())
            }
            FunctionKind::Constructor(id) => format!("{}.new", resource(id)),
            FunctionKind::Freestanding
            | FunctionKind::AsyncFreestanding
            | FunctionKind::AsyncMethod(_)
            | FunctionKind::AsyncStatic(_) => {
                let interface = self.resolve.interfaces[interface].name.as_deref().unwrap_or_default();
                format!("{interface}.{}", function.name)
            }
        };
        CoreFunction {
            module: String::new(),
            name: String::new(),
            label,
            handles: function.params.iter().map(|parameter| self.resource_of(&parameter.ty)).collect(),
            signature: self.resolve.wasm_signature(abi, function),
        }
    }

    fn drops(&self, key: &WorldKey, interface: InterfaceId) -> Vec<CoreFunction> {
        let mut drops = Vec::new();
        for (resource, id) in &self.resolve.interfaces[interface].types {
            if !matches!(self.resolve.types[*id].kind, TypeDefKind::Resource) {
                continue;
            }
            let import = WasmImport::ResourceIntrinsic {
                interface: Some(key),
                resource: *id,
                intrinsic: ResourceIntrinsic::ImportedDrop,
            };
            let (module, name) = self.resolve.wasm_import_name(MANGLING, import);
            drops.push(CoreFunction {
                module,
                name,
                label: format!("{resource}.drop"),
                handles: vec![Some(resource.clone())],
                signature: WasmSignature {
                    params: vec![WasmType::I32],
                    results: Vec::new(),
                    indirect_params: false,
                    retptr: false,
                },
            });
        }
        drops
    }

    /// The resource that a parameter is a handle of.
    fn resource_of(&self, ty: &Type) -> Option<String> {
        let Type::Id(id) = ty else { return None };
        match &self.resolve.types[*id].kind {
            TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
                self.resolve.types[*resource].name.clone()
            }
            TypeDefKind::Type(inner) => self.resource_of(inner),
            _ => None,
        }
    }
}

impl CoreFunction {
    /// `(param i32 i32) (result i32)`, as it is written in WebAssembly text.
    #[must_use]
    pub fn type_text(&self) -> String {
        let list = |word: &str, types: &[WasmType]| -> String {
            types.iter().map(|ty| format!(" ({word} {})", value_type(*ty))).collect()
        };
        list("param", &self.signature.params) + &list("result", &self.signature.results)
    }

    /// The import, as it is written in WebAssembly text.
    #[must_use]
    pub fn import_text(&self) -> String {
        let Self { module, name, label, .. } = self;
        format!("(import \"{module}\" \"{name}\" (func ${label}{}))\n", self.type_text())
    }
}

/// A value's type in the binary.
#[must_use]
pub fn value_type(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}
