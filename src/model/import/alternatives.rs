//! What the tensors of a file do not tell, and which ways there are to read it.

use super::{ChannelOrder, Description, DescriptionEdit};
use crate::model::{Architecture, Block, Stem};

/// One way to read a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// What it is about, for instance `Stem`.
    pub what: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// The edit of a description that says so.
    pub edit: DescriptionEdit,
    /// Whether the file is read so now.
    pub is_current: bool,
}

/// The stems that have a kernel of this side, with what they are called.
fn stems(kernel: usize) -> Vec<(Stem, &'static str)> {
    let all = [
        (Stem::Cifar, "3×3, stride 1"),
        (Stem::CifarHalf, "3×3, stride 2"),
        (Stem::CifarPool, "3×3, stride 1, then max-pooling"),
        (Stem::Imagenet, "7×7, stride 2, then max-pooling"),
        (Stem::Quarter, "7×7, stride 4"),
    ];
    let mut all = all.to_vec();
    all.retain(|(stem, _)| stem.kernel() == kernel);
    all
}

/// Numbers of heads of published vision transformers.
const HEADS: [(usize, &str); 8] = [
    (1, "1"),
    (2, "2"),
    (3, "3"),
    (4, "4"),
    (6, "6"),
    (8, "8"),
    (12, "12"),
    (16, "16"),
];

/// All ways to read a file that holds a network of this architecture, apart from normalisers; `description` is
/// what is said of it now.
pub fn alternatives(architecture: &Architecture, description: &Description) -> Vec<Alternative> {
    let mut found = Vec::new();
    let mut add = |what, name, edit, is_current| {
        found.push(Alternative {
            what,
            name,
            edit,
            is_current,
        });
    };
    if let Ok(network) = architecture.resnet() {
        for (stem, name) in stems(network.stem.kernel()) {
            let edit = DescriptionEdit::Stem(stem);
            add("Stem", name, edit, stem == network.stem);
        }
        if matches!(network.block, Block::Bottleneck | Block::BottleneckFirst) {
            let first = network.block == Block::BottleneckFirst;
            let edit = DescriptionEdit::StrideInFirst;
            add(
                "Stride of blocks",
                "in the 3×3 convolution",
                edit(false),
                !first,
            );
            add(
                "Stride of blocks",
                "in the first 1×1 convolution",
                edit(true),
                first,
            );
        }
    }
    // Only vision transformers from weights alone have heads in their titles.
    if let Architecture::Graph(network) = architecture
        && network.title.contains(" heads, ")
    {
        // Those that do not divide the channels do not open.
        for (heads, name) in HEADS {
            let edit = DescriptionEdit::Heads(heads);
            add(
                "Heads of attention",
                name,
                edit,
                description.heads == Some(heads),
            );
        }
    }
    let order = description.channels.unwrap_or(ChannelOrder::Rgb);
    for (other, name) in [
        (ChannelOrder::Rgb, "red, green, blue"),
        (ChannelOrder::Bgr, "blue, green, red"),
    ] {
        let edit = DescriptionEdit::Channels(other);
        add("Channels", name, edit, other == order);
    }
    found
}
