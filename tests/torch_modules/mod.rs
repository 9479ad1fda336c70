//! The modules of `scripts/golden_modules.py`, as they are here: a line for each, of the same name.

use backflow::Module;
use backflow::nn::{
    Activation, BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, ConvTranspose2d, Dropout, Embedding, Flatten,
    GroupNorm, Gru, GruCell, Init, InstanceNorm2d, Layer, LayerNorm, Linear, Lstm, LstmCell, LstmState, Mask,
    MaxPool2d, Mlp, MultiheadAttention, RmsNorm, Rnn, RnnCell, Sequential, Stack, TransformerDecoder,
    TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer, TransformerSettings,
};
use backflow::tensor::{Convolution, DType, Padding, Path, Rng, Tensor, Visitor, VisitorMut};

/// A model, and what it makes of an input.
pub(crate) trait Subject: Module {
    fn outputs(&self, x: &Tensor) -> Vec<Tensor>;
}

struct Of<M>(M, fn(&M, &Tensor) -> Vec<Tensor>);

impl<M: Module> Module for Of<M> {
    fn visit(&self, path: &mut Path, visitor: &mut dyn Visitor) {
        self.0.visit(path, visitor);
    }

    fn visit_mut(&mut self, path: &mut Path, visitor: &mut dyn VisitorMut) {
        self.0.visit_mut(path, visitor);
    }
}

impl<M: Module> Subject for Of<M> {
    fn outputs(&self, x: &Tensor) -> Vec<Tensor> {
        (self.1)(&self.0, x)
    }
}

/// A model of one output.
fn layer(layer: impl Layer + 'static) -> Box<dyn Subject> {
    Box::new(Of(layer, |layer, x| vec![layer.forward(x)]))
}

/// As PyTorch: the outputs of all steps, and the state after the last.
fn rnn(layer: Rnn) -> Box<dyn Subject> {
    Box::new(Of(layer, |layer, x| <[Tensor; 2]>::from(layer.forward_from(x, None, None)).into()))
}

fn gru(layer: Gru) -> Box<dyn Subject> {
    Box::new(Of(layer, |layer, x| <[Tensor; 2]>::from(layer.forward_from(x, None, None)).into()))
}

fn lstm(layer: Lstm) -> Box<dyn Subject> {
    Box::new(Of(layer, |layer, x| {
        let (y, state) = layer.forward_from(x, None, None);
        vec![y, state.h, state.c]
    }))
}

/// The state after all steps, which begins with zeros.
fn rnn_cell(cell: RnnCell) -> Box<dyn Subject> {
    Box::new(Of(cell, |cell, x| {
        let h = x.iter_axis(0).fold(None, |h: Option<Tensor>, x| Some(cell.forward(&x, h.as_ref())));
        h.into_iter().collect()
    }))
}

fn gru_cell(cell: GruCell) -> Box<dyn Subject> {
    Box::new(Of(cell, |cell, x| {
        let h = x.iter_axis(0).fold(None, |h: Option<Tensor>, x| Some(cell.forward(&x, h.as_ref())));
        h.into_iter().collect()
    }))
}

fn lstm_cell(cell: LstmCell) -> Box<dyn Subject> {
    Box::new(Of(cell, |cell, x| {
        let step = |state: Option<LstmState>, x| Some(cell.forward(&x, state.as_ref()));
        x.iter_axis(0).fold(None, step).map_or_else(Vec::new, |state| vec![state.h, state.c])
    }))
}

/// As PyTorch: the result, and the mean over heads of the weights.
fn attention(layer: MultiheadAttention) -> Box<dyn Subject> {
    Box::new(Of(layer, |layer, x| {
        let (y, weights) = layer.attend(x, x, x, &[]);
        vec![y, weights.mean(1)]
    }))
}

/// The same of keys and values with other numbers: those are parts of x.
fn attention_to_others(layer: MultiheadAttention) -> Box<dyn Subject> {
    Box::new(Of(layer, |layer, x| {
        let others = x.slice(0, 1..);
        let (keys, values) = (others.slice(2, ..4), others.slice(2, 3..));
        let (y, weights) = layer.attend(&x.slice(0, ..3), &keys, &values, &[]);
        vec![y, weights.mean(1)]
    }))
}

/// The first three steps of x, and the others, at which a decoder looks.
fn parts(x: &Tensor) -> [Tensor; 2] {
    [x.slice(0, ..3), x.slice(0, 3..)]
}

fn decoder_layer(layer: TransformerDecoderLayer) -> Box<dyn Subject> {
    Box::new(Of(layer, |layer, x| {
        let [x, memory] = parts(x);
        vec![layer.forward(&x, &memory, &[Mask::Causal], &[])]
    }))
}

fn decoder(model: TransformerDecoder) -> Box<dyn Subject> {
    Box::new(Of(model, |model, x| {
        let [x, memory] = parts(x);
        vec![model.forward(&x, &memory, &[Mask::Causal], &[])]
    }))
}

fn transformer() -> TransformerSettings {
    TransformerSettings::new(6, 2).feedforward(8)
}

#[derive(Clone, Debug, Module)]
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    downsample: Option<Sequential>,
}

impl Block {
    fn new(inputs: usize, outputs: usize, stride: usize, rng: &mut Rng) -> Self {
        let conv = |inputs: usize, size: usize, stride: usize, rng: &mut Rng| {
            let windows = Convolution::new().stride(stride).padding(size / 2);
            Conv2d::with_windows(inputs, outputs, size, windows, rng).without_bias()
        };
        let norm = || BatchNorm2d::new(outputs);
        let (conv1, conv2) = (conv(inputs, 3, stride, rng), conv(outputs, 3, 1, rng));
        let project = || Sequential::new().add(conv(inputs, 1, stride, rng)).add(norm());
        let downsample = (inputs != outputs).then(project);
        Self { conv1, bn1: norm(), conv2, bn2: norm(), downsample }
    }
}

impl Layer for Block {
    fn forward(&self, x: &Tensor) -> Tensor {
        let y = self.bn1.forward(&self.conv1.forward(x)).relu();
        let y = self.bn2.forward(&self.conv2.forward(&y));
        (y + self.downsample.as_ref().map_or_else(|| x.clone(), |downsample| downsample.forward(x))).relu()
    }
}

/// Fields as torchvision calls them.
#[derive(Clone, Debug, Module)]
struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    layer1: Vec<Block>,
    layer2: Sequential,
    fc: Linear,
}

impl ResNet {
    fn new(rng: &mut Rng) -> Self {
        let windows = Convolution::new().padding(1);
        let layer2 = Sequential::new().add(Block::new(4, 6, 2, rng)).add(Block::new(6, 6, 1, rng));
        Self {
            conv1: Conv2d::with_windows(2, 4, 3, windows, rng).without_bias(),
            bn1: BatchNorm2d::new(4),
            layer1: vec![Block::new(4, 4, 1, rng), Block::new(4, 4, 1, rng)],
            layer2,
            fc: Linear::new(6, 5, rng),
        }
    }
}

impl Layer for ResNet {
    fn forward(&self, x: &Tensor) -> Tensor {
        let x = self.bn1.forward(&self.conv1.forward(x)).relu();
        let x = self.layer1.iter().fold(x, |x, block| block.forward(&x));
        self.fc.forward(&self.layer2.forward(&x).mean([2, 3]))
    }
}

#[derive(Clone, Debug, Module)]
struct LanguageModel {
    encoder: Embedding,
    rnn: Lstm,
    decoder: Linear,
}

impl LanguageModel {
    fn new(rng: &mut Rng) -> Self {
        let rnn = Lstm::with_stack(6, 6, Stack::new().layers(2), rng);
        Self { encoder: Embedding::new(11, 6, rng), rnn, decoder: Linear::new(6, 11, rng) }
    }

    fn tied(mut self) -> Self {
        self.decoder.weight = self.encoder.weight.clone();
        self
    }
}

impl Layer for LanguageModel {
    fn forward(&self, words: &Tensor) -> Tensor {
        self.decoder.forward(&self.rnn.forward(&self.encoder.forward(words)))
    }
}

#[derive(Clone, Debug, Module)]
struct CausalLanguageModel {
    encoder: Embedding,
    transformer: TransformerEncoder,
    decoder: Linear,
}

impl CausalLanguageModel {
    fn new(rng: &mut Rng) -> Self {
        let settings = transformer().activation(Activation::Gelu).norm_first();
        let transformer = TransformerEncoder::new(settings, 2, rng).with_norm(settings.norm()).causal();
        Self { encoder: Embedding::new(11, 6, rng), transformer, decoder: Linear::new(6, 11, rng) }
    }
}

impl Layer for CausalLanguageModel {
    fn forward(&self, words: &Tensor) -> Tensor {
        self.decoder.forward(&self.transformer.forward(&self.encoder.forward(words)))
    }
}

fn sequential(rng: &mut Rng) -> Sequential {
    let tanh = Activation::Tanh;
    let hidden =
        Sequential::new().add(Linear::new(5, 6, rng)).add(tanh).add(Linear::new(6, 4, rng)).add(tanh);
    hidden.add(Linear::new(4, 3, rng))
}

fn mlp(rng: &mut Rng) -> Mlp {
    Mlp::new(&[5, 6, 4, 3], Activation::Tanh, Init::TorchLinear, DType::F32, rng)
}

fn cnn(rng: &mut Rng) -> Sequential {
    let head =
        Sequential::new().add(Conv2d::new(2, 3, 3, rng)).add(BatchNorm2d::new(3)).add(Activation::Relu);
    let head = head.add(MaxPool2d::new(2)).add(Flatten::new()).add(Dropout::new(0.5));
    head.add(Linear::new(12, 8, rng)).add(Activation::Relu).add(Linear::new(8, 3, rng))
}

type Make = fn(&mut Rng) -> Box<dyn Subject>;

/// All of them, of `f32`.
pub(crate) const MODULES: &[(&str, Make)] = &[
    ("linear", |rng| layer(Linear::new(5, 4, rng))),
    ("linear_without_bias", |rng| layer(Linear::without_bias(5, 4, rng))),
    ("conv1d", |rng| layer(Conv1d::new(3, 4, 5, rng))),
    ("conv1d_strided", |rng| {
        let windows = Convolution::new().stride(2).padding(3).dilation(2).groups(2);
        layer(Conv1d::with_windows(4, 6, 3, windows, rng))
    }),
    ("conv2d", |rng| layer(Conv2d::new(3, 4, 3, rng))),
    ("conv2d_strided", |rng| {
        let windows = Convolution::new().stride([2, 1]).padding([1, 0]).groups(3);
        layer(Conv2d::with_windows(3, 6, [3, 2], windows, rng))
    }),
    ("conv2d_dilated", |rng| {
        let windows = Convolution::new().dilation(2).padding(Padding::Same);
        layer(Conv2d::with_windows(2, 3, 3, windows, rng).without_bias())
    }),
    ("conv_transpose2d", |rng| layer(ConvTranspose2d::new(4, 3, 3, rng))),
    ("conv_transpose2d_strided", |rng| {
        let windows = Convolution::new().stride([3, 2]).padding(1).groups(2);
        layer(ConvTranspose2d::with_windows(4, 6, [3, 2], windows, rng).output_padding([2, 1]))
    }),
    ("embedding", |rng| layer(Embedding::new(7, 4, rng))),
    ("embedding_padding", |rng| layer(Embedding::new(7, 4, rng).padding(2))),
    ("batch_norm1d", |_| layer(BatchNorm1d::new(3))),
    ("batch_norm1d_training", |_| layer(BatchNorm1d::new(3))),
    ("batch_norm2d", |_| layer(BatchNorm2d::new(3))),
    ("batch_norm2d_training", |_| layer(BatchNorm2d::new(3).momentum(None))),
    ("batch_norm2d_without_affine", |_| layer(BatchNorm2d::new(3).without_affine())),
    ("batch_norm2d_without_statistics", |_| layer(BatchNorm2d::new(3).without_running_statistics())),
    ("layer_norm", |_| layer(LayerNorm::new([6]))),
    ("layer_norm_without_bias", |_| layer(LayerNorm::new([2, 3]).without_bias())),
    ("rms_norm", |_| layer(RmsNorm::new([6]))),
    ("group_norm", |_| layer(GroupNorm::new(2, 6))),
    ("instance_norm2d", |_| layer(InstanceNorm2d::new(3).with_affine(DType::F32))),
    ("rnn", |rng| rnn(Rnn::new(3, 4, rng))),
    ("rnn_relu", |rng| rnn(Rnn::with_stack(3, 4, Stack::new().layers(2), rng).relu())),
    ("rnn_bidirectional", |rng| rnn(Rnn::with_stack(3, 4, Stack::new().bidirectional(), rng))),
    ("rnn_without_bias", |rng| rnn(Rnn::with_stack(3, 4, Stack::new().without_bias(), rng))),
    ("lstm", |rng| lstm(Lstm::new(3, 4, rng))),
    ("lstm_two_layers", |rng| lstm(Lstm::with_stack(3, 4, Stack::new().layers(2), rng))),
    ("lstm_bidirectional", |rng| lstm(Lstm::with_stack(3, 4, Stack::new().layers(2).bidirectional(), rng))),
    ("lstm_projected", |rng| {
        lstm(Lstm::with_projection(3, 4, 2, Stack::new().layers(2).bidirectional(), rng))
    }),
    ("lstm_without_bias", |rng| lstm(Lstm::with_stack(3, 4, Stack::new().without_bias(), rng))),
    ("lstm_batch_first", |rng| lstm(Lstm::with_stack(3, 4, Stack::new().batch_first(), rng))),
    ("gru", |rng| gru(Gru::new(3, 4, rng))),
    ("gru_bidirectional", |rng| gru(Gru::with_stack(3, 4, Stack::new().layers(2).bidirectional(), rng))),
    ("gru_without_bias", |rng| gru(Gru::with_stack(3, 4, Stack::new().without_bias(), rng))),
    ("multihead_attention", |rng| attention(MultiheadAttention::new(6, 2, rng))),
    ("multihead_attention_batch_first", |rng| attention(MultiheadAttention::new(6, 3, rng).batch_first())),
    ("multihead_attention_without_bias", |rng| attention(MultiheadAttention::new(6, 2, rng).without_bias())),
    ("multihead_attention_cross", |rng| {
        attention_to_others(MultiheadAttention::with_sizes(6, 2, [4, 3], DType::F32, rng))
    }),
    ("transformer_encoder_layer", |rng| layer(TransformerEncoderLayer::new(transformer(), rng))),
    ("transformer_encoder_layer_norm_first", |rng| {
        let settings = transformer().activation(Activation::Gelu).norm_first().batch_first();
        layer(TransformerEncoderLayer::new(settings, rng))
    }),
    ("transformer_encoder_layer_without_bias", |rng| {
        layer(TransformerEncoderLayer::new(transformer().without_bias(), rng))
    }),
    ("transformer_decoder_layer", |rng| decoder_layer(TransformerDecoderLayer::new(transformer(), rng))),
    ("transformer_decoder_layer_norm_first", |rng| {
        let settings = transformer().activation(Activation::Gelu).norm_first();
        decoder_layer(TransformerDecoderLayer::new(settings, rng))
    }),
    ("nested_mlp", |rng| layer(sequential(rng))),
    ("nested_mlp", |rng| layer(mlp(rng))),
    ("nested_cnn", |rng| layer(cnn(rng))),
    ("nested_resnet", |rng| layer(ResNet::new(rng))),
    ("nested_resnet_training", |rng| layer(ResNet::new(rng))),
    ("nested_language_model", |rng| layer(LanguageModel::new(rng))),
    ("nested_language_model_tied", |rng| layer(LanguageModel::new(rng).tied())),
    ("nested_transformer_encoder", |rng| layer(TransformerEncoder::new(transformer(), 2, rng))),
    ("nested_transformer_decoder", |rng| {
        decoder(TransformerDecoder::new(transformer(), 2, rng).with_norm(transformer().norm()))
    }),
    ("nested_causal_language_model", |rng| layer(CausalLanguageModel::new(rng))),
    ("rnn_cell", |rng| rnn_cell(RnnCell::new(3, 4, rng))),
    ("rnn_cell_relu", |rng| rnn_cell(RnnCell::without_bias(3, 4, rng).relu())),
    ("lstm_cell", |rng| lstm_cell(LstmCell::new(3, 4, rng))),
    ("gru_cell", |rng| gru_cell(GruCell::new(3, 4, rng))),
];
