//! Model weights: named tensors with metadata, read from and written to safetensors files.
//!
//! safetensors files consist of a length-checked JSON header and raw numbers, so that opening an
//! untrusted file can neither run code nor allocate more memory than the file is long.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView, serialize};

use super::layers::{Parameters, Role, Visitor};
use crate::error::{Error, Mismatch, Result};
use crate::files::write_atomically;

/// Longest header that the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;

/// A dense array of 32-bit floats in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The values; as many as the product of `shape`.
    pub values: Vec<f32>,
}

/// Floating-point precision of weights in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats: exact.
    Single,
    /// 16-bit floats for arrays of two axes or more; 32-bit floats for the rest (biases and
    /// normalisation) and where a value exceeds the 16-bit range.
    Half,
}

/// The tensors of a network by their torchvision names, and the file's text metadata.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// Tensors by name.
    pub tensors: BTreeMap<String, Array>,
    /// Text metadata by key.
    pub metadata: BTreeMap<String, String>,
}

struct Save<'a>(&'a mut BTreeMap<String, Array>);

impl Visitor for Save<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, _: Role, tensor: &mut Tensor<D>) {
        let array = Array {
            shape: tensor.dims().to_vec(),
            values: tensor_values(tensor.clone()),
        };
        self.0.insert(name.to_owned(), array);
    }
}

struct Load<'a> {
    tensors: &'a BTreeMap<String, Array>,
    seen: Vec<String>,
    mismatch: Mismatch,
}

impl Visitor for Load<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, _: Role, tensor: &mut Tensor<D>) {
        let wanted = tensor.dims().to_vec();
        match self.tensors.get(name) {
            None => self.mismatch.missing.push(name.to_owned()),
            Some(array) if array.shape != wanted => {
                let entry = (name.to_owned(), array.shape.clone(), wanted);
                self.mismatch.misshapen.push(entry);
            }
            Some(array) => {
                let data = TensorData::new(array.values.clone(), array.shape.clone());
                *tensor = Tensor::from_data(data, &tensor.device());
            }
        }
        self.seen.push(name.to_owned());
    }
}

/// All values of a tensor, row-major.
pub(crate) fn tensor_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .inner()
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .expect("a float tensor converts to f32")
}

impl Weights {
    /// Copies every tensor of `network`.
    pub fn of(network: &mut impl Parameters) -> Self {
        let mut weights = Self::default();
        network.visit(&mut Save(&mut weights.tensors));
        weights
    }

    /// The tensors whose names have the prefix `prefix`, without it.
    pub fn under(&self, prefix: &str) -> Self {
        let named = self.tensors.iter();
        let part = named.filter_map(|(name, array)| {
            let name = name.strip_prefix(prefix)?;
            Some((name.to_owned(), array.clone()))
        });
        Self {
            tensors: part.collect(),
            metadata: BTreeMap::new(),
        }
    }

    /// Adds `tensors` with `prefix` before their names.
    pub fn add_under(&mut self, prefix: &str, tensors: BTreeMap<String, Array>) {
        let named = tensors.into_iter();
        self.tensors
            .extend(named.map(|(name, array)| (format!("{prefix}{name}"), array)));
    }

    /// Number of values of all tensors.
    pub fn parameter_count(&self) -> usize {
        self.tensors.values().map(|array| array.values.len()).sum()
    }

    /// Whether every value is finite.
    pub fn is_finite(&self) -> bool {
        let mut all = self.tensors.values().flat_map(|array| &array.values);
        all.all(|value| value.is_finite())
    }

    /// Sets the tensors of `network`. PyTorch's `num_batches_tracked` counters are ignored.
    ///
    /// # Errors
    /// A [`Mismatch`] with every tensor that is missing, extra or of another shape; `network` must then not
    /// be used.
    pub fn fill(&self, network: &mut impl Parameters) -> Result<(), Mismatch> {
        let mut load = Load {
            tensors: &self.tensors,
            seen: Vec::new(),
            mismatch: Mismatch::default(),
        };
        network.visit(&mut load);
        let Load {
            seen, mut mismatch, ..
        } = load;
        let extra = self
            .tensors
            .keys()
            .filter(|name| !seen.contains(name) && !name.ends_with("num_batches_tracked"));
        mismatch.extra = extra.cloned().collect();
        if mismatch.is_empty() {
            Ok(())
        } else {
            Err(mismatch)
        }
    }

    /// Reads a safetensors file.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Model`] when it is no safetensors file, which is
    /// detected by its first bytes, whatever its size.
    pub fn read(path: &Path) -> Result<Self> {
        let reading = |error: std::io::Error| Error::io(path, "read", error);
        let mut file = std::fs::File::open(path).map_err(reading)?;
        let mut bytes = Vec::new();
        read_header(&mut file, &mut bytes, path)?;
        file.read_to_end(&mut bytes).map_err(reading)?;
        Self::from_bytes(&bytes).map_err(|reason| Error::model(path, reason))
    }

    /// Only the metadata of a safetensors file, without its tensors.
    ///
    /// # Errors
    /// As [`Weights::read`].
    pub fn read_metadata(path: &Path) -> Result<BTreeMap<String, String>> {
        let mut file = std::fs::File::open(path).map_err(|error| Error::io(path, "read", error))?;
        let header = read_header(&mut file, &mut Vec::new(), path)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(metadata.into_iter().collect())
    }

    /// Parses the bytes of a safetensors file.
    ///
    /// # Errors
    /// A message that says what is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let explain = |error: safetensors::SafeTensorError| error.to_string();
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(explain)?;
        let file = SafeTensors::deserialize(bytes).map_err(explain)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let values = floats(&view).ok_or_else(|| {
                format!(
                    "the tensor {name} holds {:?}, not floating-point numbers",
                    view.dtype()
                )
            });
            if name.ends_with("num_batches_tracked") && values.is_err() {
                continue;
            }
            let array = Array {
                shape: view.shape().to_vec(),
                values: values?,
            };
            tensors.insert(name, array);
        }
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self {
            tensors,
            metadata: metadata.into_iter().collect(),
        })
    }

    /// Writes a safetensors file atomically.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn write(&self, path: &Path, precision: Precision) -> Result<()> {
        let bytes = self
            .to_bytes(precision)
            .map_err(|reason| Error::io(path, "write", reason))?;
        write_atomically(path, &bytes)
    }

    fn to_bytes(&self, precision: Precision) -> Result<Vec<u8>, String> {
        let encoded: Vec<(&String, Dtype, &Array, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, array)| {
                let fits = || {
                    array
                        .values
                        .iter()
                        .all(|value| value.abs() <= f16::MAX.to_f32())
                };
                let half = precision == Precision::Half && array.shape.len() > 1 && fits();
                let (dtype, bytes) = if half {
                    let halves = array.values.iter().map(|&value| f16::from_f32(value));
                    (Dtype::F16, halves.flat_map(f16::to_le_bytes).collect())
                } else {
                    let bytes = array.values.iter().flat_map(|value| value.to_le_bytes());
                    (Dtype::F32, bytes.collect())
                };
                (name, dtype, array, bytes)
            })
            .collect();
        let mut views = Vec::with_capacity(encoded.len());
        for (name, dtype, array, bytes) in &encoded {
            let view = TensorView::new(*dtype, array.shape.clone(), bytes);
            views.push((name.as_str(), view.map_err(|error| error.to_string())?));
        }
        let metadata: HashMap<_, _> = self.metadata.clone().into_iter().collect();
        serialize(views, Some(metadata)).map_err(|error| error.to_string())
    }
}

/// Reads and checks the header of a safetensors file; `bytes` are those read.
fn read_header(file: &mut std::fs::File, bytes: &mut Vec<u8>, path: &Path) -> Result<Metadata> {
    let reading = |error: std::io::Error| Error::io(path, "read", error);
    let length = file.metadata().map_err(reading)?.len();
    let mut start = [0; 8];
    file.read_exact(&mut start)
        .map_err(|_| Error::model(path, "the file is shorter than any safetensors file"))?;
    let header = u64::from_le_bytes(start);
    if header == 0 || header > MAX_HEADER || header > length.saturating_sub(8) {
        return Err(Error::model(
            path,
            "it does not start like a safetensors file, or is cut short",
        ));
    }
    bytes.extend(start);
    let head = Read::by_ref(file).take(header).read_to_end(bytes);
    head.map_err(reading)?;
    let declared = serde_json::from_slice::<Metadata>(&bytes[8..]);
    let declared = declared.map_err(|error| Error::model(path, format!("its header: {error}")))?;
    if length - 8 - header != declared.data_len() as u64 {
        return Err(Error::model(path, "its length is not what its header says"));
    }
    Ok(declared)
}

/// Converts the floating-point types of checkpoints to 32-bit floats; `None` for other types.
fn floats(view: &TensorView) -> Option<Vec<f32>> {
    let data = view.data();
    let halves = || data.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    Some(match view.dtype() {
        Dtype::F32 => {
            let words = data.chunks_exact(4);
            words
                .map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
                .collect()
        }
        Dtype::F64 => {
            let words = data.chunks_exact(8);
            words
                .map(|word| f64::from_le_bytes(word.try_into().expect("eight bytes")) as f32)
                .collect()
        }
        Dtype::F16 => halves()
            .map(|pair| f16::from_le_bytes(pair).to_f32())
            .collect(),
        Dtype::BF16 => halves()
            .map(|pair| bf16::from_le_bytes(pair).to_f32())
            .collect(),
        _ => return None,
    })
}
