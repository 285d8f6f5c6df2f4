//! The filter with a trap in it: the shipped module as it is, and one function in front of its request hook.
//!
//! That function traps when a request has [`TRAP_HEADERS`] headers or more and calls the hook otherwise. It is put in here and not in the filter, so that
//! no build of the filter can ever contain it. Assumes what the filter's build gives: only functions are imported. Must never be given to anybody but a test.

use anyhow::{Context, Result, bail, ensure};

/// From how many request headers on, Envoy's own included, the module traps. Envoy's limit is 100.
pub const TRAP_HEADERS: u8 = 90;

/// The hook that the trap stands before.
const HOOK: &[u8] = b"proxy_on_request_headers";

/// What a module starts with: magic and version.
const PREAMBLE: &[u8] = b"\0asm\x01\0\0\0";

const IMPORTS: u8 = 2;
const FUNCTIONS: u8 = 3;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;

/// `module` with the trap.
///
/// # Errors
/// When it is no module with such a hook, or imports anything but functions.
pub fn with_trap(module: &[u8]) -> Result<Vec<u8>> {
    let sections = sections(module)?;
    let section = |id: u8| {
        let found = sections.iter().find(|(known, _)| *known == id);
        found
            .map(|(_, content)| Reader(content))
            .with_context(|| format!("no section {id}"))
    };
    let imported = imported_functions(section(IMPORTS)?)?;
    let mut functions = section(FUNCTIONS)?;
    let defined = functions.number()?;
    let hook = exported_hook(section(EXPORTS)?)?;
    let mut kind = None;
    for index in 0..defined {
        let of_this = functions.number()?;
        if imported + index == hook {
            kind = Some(of_this);
        }
    }
    let kind = kind.context("the hook is imported")?;
    let trap = imported + defined;
    let mut out = PREAMBLE.to_vec();
    for (id, content) in &sections {
        let content = match *id {
            FUNCTIONS => one_more(content, &number(kind))?,
            EXPORTS => with_hook(content, trap)?,
            CODE => one_more(content, &sized(&trap_before(hook)))?,
            _ => content.to_vec(),
        };
        out.push(*id);
        out.extend(sized(&content));
    }
    Ok(out)
}

/// The function: `if headers >= TRAP_HEADERS { unreachable }`, then the hook with the same arguments.
fn trap_before(hook: u32) -> Vec<u8> {
    let (no_locals, local_get, i32_const, i32_ge_s) = (0x00, 0x20, 0x41, 0x4e);
    let (if_without_result, unreachable, call, end) = ([0x04, 0x40], 0x00, 0x10, 0x0b);
    // A signed number: the second byte keeps the sign bit of the first one out.
    let limit = [TRAP_HEADERS | 0x80, 0];
    let mut body = vec![no_locals, local_get, 1, i32_const];
    body.extend(limit);
    body.push(i32_ge_s);
    body.extend(if_without_result);
    body.extend([unreachable, end]);
    body.extend([local_get, 0, local_get, 1, local_get, 2, call]);
    body.extend(number(hook));
    body.push(end);
    body
}

/// A vector of a section with one more element at its end.
fn one_more(content: &[u8], element: &[u8]) -> Result<Vec<u8>> {
    let mut rest = Reader(content);
    let count = rest.number()?;
    Ok([&number(count + 1), rest.0, element].concat())
}

/// The exports, with that function in the hook's place.
fn with_hook(content: &[u8], function: u32) -> Result<Vec<u8>> {
    let mut exports = Reader(content);
    let count = exports.number()?;
    let mut out = number(count);
    for _ in 0..count {
        let (name, kind, index) = exports.export()?;
        out.extend(sized(name));
        out.push(kind);
        out.extend(number(if name == HOOK { function } else { index }));
    }
    Ok(out)
}

fn exported_hook(mut exports: Reader<'_>) -> Result<u32> {
    for _ in 0..exports.number()? {
        let (name, _, index) = exports.export()?;
        if name == HOOK {
            return Ok(index);
        }
    }
    bail!("the module exports no request hook")
}

fn imported_functions(mut imports: Reader<'_>) -> Result<u32> {
    let count = imports.number()?;
    for _ in 0..count {
        imports.name()?;
        imports.name()?;
        ensure!(
            imports.byte()? == 0,
            "something else than a function is imported"
        );
        imports.number()?;
    }
    Ok(count)
}

fn sections(module: &[u8]) -> Result<Vec<(u8, &[u8])>> {
    let mut rest = Reader(module.strip_prefix(PREAMBLE).context("not a module")?);
    let mut sections = Vec::new();
    while !rest.0.is_empty() {
        let id = rest.byte()?;
        sections.push((id, rest.name()?));
    }
    Ok(sections)
}

fn sized(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    [&number(length), content].concat()
}

/// An unsigned number in LEB128.
fn number(mut value: u32) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}

/// What is left of a module's bytes.
struct Reader<'m>(&'m [u8]);

impl<'m> Reader<'m> {
    fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.0.split_first().context("the module breaks off")?;
        self.0 = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u32> {
        let mut value = 0;
        for shift in (0..32).step_by(7) {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        bail!("a number is too long")
    }

    /// As many bytes as the number before them says.
    fn name(&mut self) -> Result<&'m [u8]> {
        let length = usize::try_from(self.number()?)?;
        let (name, rest) = self
            .0
            .split_at_checked(length)
            .context("the module breaks off")?;
        self.0 = rest;
        Ok(name)
    }

    fn export(&mut self) -> Result<(&'m [u8], u8, u32)> {
        Ok((self.name()?, self.byte()?, self.number()?))
    }
}
