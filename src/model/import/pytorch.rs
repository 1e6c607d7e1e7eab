//! PyTorch's checkpoints, zip and older, read without running anything that a pickle asks for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use pytorch_reader::{DType, PytorchReader, Tensor};

use super::LoadError;
use crate::model::Array;

/// The tensors of a checkpoint, wherever in it they are; their names say where, with dots between.
pub(super) struct PytorchCheckpoint {
    path: PathBuf,
    reader: PytorchReader,
}

/// How far from its end a zip archive may have its directory's end: a record and the longest comment.
const ZIP_END: u64 = 22 + 65_535;

/// Bytes that tensors may take beyond those of the file, as several may share a storage.
const SLACK: usize = 32 << 20;

impl PytorchCheckpoint {
    /// Whether a file that begins so is a checkpoint. Anything else is left to safetensors.
    pub(super) fn begins(start: &[u8]) -> bool {
        let safetensors = start.get(8) == Some(&b'{') && start.get(7) == Some(&0);
        let pickle = matches!(start.first(), Some(0x80 | b'(' | b'}' | b']' | b'c'));
        let tar = start.get(257..262) == Some(b"ustar");
        start.starts_with(b"PK") || tar || (pickle && !safetensors)
    }

    /// Reads the directory of tensors.
    pub(super) fn open(path: &Path) -> Result<Self, LoadError> {
        require_zip_end(path)?;
        require_no_program(path)?;
        let reader = PytorchReader::new(path);
        let reader = reader.map_err(|error| LoadError::tried("as a PyTorch file", error))?;
        Ok(Self {
            path: path.into(),
            reader,
        })
    }

    /// Shape of every tensor of floating-point numbers.
    pub(super) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let tensors = self.reader.tensors().iter();
        let floats = tensors.filter(|(_, tensor)| width(tensor.dtype()).is_some());
        floats
            .map(|(name, tensor)| (name.clone(), tensor.shape().to_vec()))
            .collect()
    }

    /// The tensors of these names.
    pub(super) fn read<'a>(
        &self,
        names: impl Iterator<Item = &'a String>,
    ) -> Result<BTreeMap<String, Array>, LoadError> {
        let length = std::fs::metadata(&self.path)?.len();
        let mut left = (length as usize).saturating_add(SLACK);
        let mut arrays = BTreeMap::new();
        for name in names {
            let Some(tensor) = self.reader.get(name) else {
                continue;
            };
            // A view can repeat a few bytes without end.
            left = left
                .checked_sub(tensor.byte_len())
                .ok_or("its tensors claim to be far larger than the file")?;
            let bytes = tensor.read();
            let bytes = bytes.map_err(|error| format!("its tensor {name}: {error}"))?;
            let array = decode(tensor, &bytes)
                .ok_or_else(|| format!("its tensor {name} is not what it claims to be"))?;
            arrays.insert(name.clone(), array);
        }
        Ok(arrays)
    }
}

/// Refuses an archive that is cut short before anybody searches all of it for its end.
fn require_zip_end(path: &Path) -> Result<(), LoadError> {
    let mut file = File::open(path)?;
    let mut start = [0; 4];
    if file.read_exact(&mut start).is_err() || !start.starts_with(b"PK") {
        return Ok(());
    }
    let length = file.metadata()?.len();
    let from = length.saturating_sub(ZIP_END);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(ZIP_END).read_to_end(&mut end)?;
    if end.windows(4).any(|four| four == b"PK\x05\x06") {
        Ok(())
    } else {
        Err("it is a zip archive that is cut short".into())
    }
}

/// Refuses archives of programs, which are not run here, and says how to export what they compute.
fn require_no_program(path: &Path) -> Result<(), LoadError> {
    let Ok(archive) = std::fs::File::open(path)
        .map_err(drop)
        .and_then(|file| zip::ZipArchive::new(std::io::BufReader::new(file)).map_err(drop))
    else {
        return Ok(());
    };
    let has = |file: &str| {
        let mut names = archive.file_names().filter_map(|name| name.ok());
        names.any(|name| name.rsplit('/').next() == Some(file))
    };
    let (kind, load) = if has("constants.pkl") {
        ("TorchScript", "torch.jit.load(FILE)")
    } else if has("archive_format") || has("serialized_exported_program.json") {
        ("torch.export", "torch.export.load(FILE).module()")
    } else {
        return Ok(());
    };
    Err(format!(
        "it is a {kind} archive, whose program is not run here. Export it to ONNX in Python: \
             import torch; model = {load}; \
             torch.onnx.export(model, (torch.zeros(1, 3, 224, 224),), \"model.onnx\", dynamo={}). \
             docs/python.md has a function that exports labels and normaliser, too",
        if kind == "TorchScript" {
            "False"
        } else {
            "True"
        }
    )
    .into())
}

/// Bytes of a floating-point number.
fn width(dtype: DType) -> Option<usize> {
    match dtype {
        DType::F64 => Some(8),
        DType::F32 => Some(4),
        DType::F16 | DType::BF16 => Some(2),
        _ => None,
    }
}

fn decode(tensor: &Tensor, bytes: &[u8]) -> Option<Array> {
    let shape = tensor.shape().to_vec();
    let numbers = bytes.chunks_exact(width(tensor.dtype())?);
    let values: Vec<f32> = match tensor.dtype() {
        DType::F64 => numbers
            .map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes")) as f32)
            .collect(),
        DType::F32 => numbers
            .map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")))
            .collect(),
        DType::F16 => numbers
            .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
        _ => numbers
            .map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
    };
    (values.len() == tensor.num_elements()).then_some(Array { shape, values })
}
