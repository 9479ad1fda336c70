//! Layers, initialisers and losses.
//!
//! The one idea: a model is an ordinary struct that owns its tensors. `#[derive(Module)]` names them by the
//! path of their fields; `forward` is an ordinary method. There is no registry and no hidden state here, and
//! no flag that a model is put into training by: [`training`](backflow_tensor::training()) is a scope and the
//! source of chance, outside it a model evaluates ([`Dropout`] is such a layer), and an optimizer refuses a
//! loss for which it was forgotten. What is not here either: optimizers, which reach a model through
//! [`Module`] alone and know nothing of layers.
//!
//! ```
//! # extern crate backflow_tensor as backflow;
//! use backflow_nn::{Linear, Module};
//! use backflow_tensor::{DType, Rng, Tensor};
//!
//! #[derive(Module)]
//! struct Classifier {
//!     hidden: Vec<Linear>,
//!     out: Linear,
//! }
//!
//! impl Classifier {
//!     fn forward(&self, x: &Tensor) -> Tensor {
//!         let h = self.hidden.iter().fold(x.clone(), |h, layer| layer.forward(&h).sigmoid());
//!         self.out.forward(&h)
//!     }
//! }
//!
//! let mut rng = Rng::seed_from_u64(7);
//! let model = Classifier {
//!     hidden: vec![Linear::new(4, 8, &mut rng), Linear::new(8, 8, &mut rng)],
//!     out: Linear::new(8, 3, &mut rng),
//! };
//! let loss = model.forward(&Tensor::ones([2, 4], DType::F32)).cross_entropy(&Tensor::from([0_i64, 2]));
//! let grads = loss.backward();
//! for (path, parameter) in model.parameters() {
//!     println!("{path}: |g| = {:.1e}", grads.of(&parameter).square().sum(..).sqrt().item());
//! }
//! ```
//!
//! # Training and evaluation
//!
//! A layer with a training mode asks the scope that it is called in, through
//! [`by_mode`](backflow_tensor::LayerId::by_mode), so that `forward(&self, x)` is the same for all layers and
//! models. What it learns of a batch hangs on its result
//! ([`with_statistics`](backflow_tensor::Tensor::with_statistics)) and is folded into its
//! [buffers](backflow_tensor::Tensor::buffer) by the optimizer's step.
//!
//! ```
//! use backflow_nn::{Dropout, Linear, Sequential};
//! use backflow_tensor::{DType, Rng, Tensor, evaluation, training};
//!
//! let mut rng = Rng::seed_from_u64(7);
//! let model = Sequential::new().add(Dropout::new(0.5)).add(Linear::new(100, 1, &mut rng));
//! let x = Tensor::ones([1, 100], DType::F32);
//! let trained = training(&rng.split(0), || model.forward(&x)).item();
//! let evaluated = evaluation(|| model.forward(&x)).item();
//! assert_ne!(trained, evaluated);
//! ```
//!
//! # From PyTorch
//!
//! | PyTorch | here |
//! |---|---|
//! | `class M(nn.Module)` | `#[derive(Module)] struct M` |
//! | `nn.Linear(i, o)` | [`Linear::new(i, o, &mut rng)`](Linear::new) |
//! | `nn.Linear(i, o, bias=False)` | [`Linear::without_bias(i, o, &mut rng)`](Linear::without_bias) |
//! | `nn.Linear(i, o, dtype=torch.float64)` | [`Linear::with_init(i, o, Init::TorchLinear, 1.0, DType::F64, &mut rng)`](Linear::with_init) |
//! | `nn.Conv2d(i, o, 3)` | [`Conv2d::new(i, o, 3, &mut rng)`](Conv2d::new) |
//! | `nn.Conv2d(i, o, 3, stride=2, padding=1, bias=False)` | [`Conv2d::with_windows(i, o, 3, Convolution::new().stride(2).padding(1), &mut rng).without_bias()`](Conv2d::with_windows) |
//! | `nn.Conv1d(i, o, 5)`, `nn.ConvTranspose2d(i, o, 2)` | [`Conv1d::new(i, o, 5, &mut rng)`](Conv1d::new), [`ConvTranspose2d::new(i, o, 2, &mut rng)`](ConvTranspose2d::new) |
//! | `nn.Sequential(nn.Linear(i, o), nn.ReLU())` | [`Sequential::new().add(Linear::new(i, o, &mut rng)).add(Activation::Relu)`](Sequential) |
//! | `nn.ReLU()`, `nn.LeakyReLU(0.2)` | [`Activation::Relu.layer()`](Activation::layer), `Activation::LeakyRelu(0.2).layer()` |
//! | `nn.MaxPool2d(2)`, `nn.MaxPool2d(3, 2, padding=1)` | [`MaxPool2d::new(2)`](MaxPool2d::new), `MaxPool2d::new(Pooling::new(3).stride(2).padding(1))` |
//! | `nn.AvgPool2d(2)`, `nn.AdaptiveAvgPool2d(1)` | [`AvgPool2d::new(2)`](AvgPool2d::new), [`AdaptiveAvgPool2d::new(1)`](AdaptiveAvgPool2d::new) |
//! | `F.pad(x, (1, 1), mode="reflect")` | [`x.pad([1, 1], PaddingMode::Reflect)`](backflow_tensor::Tensor::pad) |
//! | `nn.Flatten()` | [`Flatten::new()`](Flatten::new) |
//! | a module around a function | [`Sequential::map("absolute", \|x\| x.abs())`](Sequential::map) |
//! | `nn.ModuleList`, `nn.ModuleDict` | a field `Vec<M>`, `BTreeMap<String, M>` |
//! | `nn.Dropout(0.1)` | [`Dropout::new(0.1)`](Dropout::new) |
//! | `nn.Dropout2d(0.1)` | [`Dropout2d::new(0.1)`](Dropout2d::new) |
//! | `x + f(x)` in `forward` | [`Residual::new(f)`](Residual) in a `Sequential` |
//! | `nn.BatchNorm2d(64)`, `nn.BatchNorm1d(64, momentum=None)` | [`BatchNorm2d::new(64)`](BatchNorm2d), [`BatchNorm1d::new(64).momentum(None)`](BatchNorm::momentum) |
//! | `nn.BatchNorm2d(64, affine=False, track_running_stats=False)` | [`BatchNorm2d::new(64).without_affine().without_running_statistics()`](BatchNorm::without_running_statistics) |
//! | `m.eval()` of a batch normalisation in a model that is trained | [`BatchNorm2d::new(64).frozen()`](BatchNorm::frozen) |
//! | `nn.LayerNorm(256)`, `nn.LayerNorm([3, 4], bias=False)` | [`LayerNorm::new([256])`](LayerNorm), [`LayerNorm::new([3, 4]).without_bias()`](LayerNorm::without_bias) |
//! | `nn.RMSNorm(256)` | [`RmsNorm::new([256])`](RmsNorm) |
//! | `nn.GroupNorm(8, 64)` | [`GroupNorm::new(8, 64)`](GroupNorm) |
//! | `nn.InstanceNorm2d(64)`, with `affine=True` | [`InstanceNorm2d::new(64)`](InstanceNorm2d), with [`with_affine(DType::F32)`](InstanceNorm2d::with_affine) |
//! | `nn.Embedding(words, 8)`, with `padding_idx=0` | [`Embedding::new(words, 8, &mut rng)`](Embedding::new), with [`padding(0)`](Embedding::padding) |
//! | `nn.LSTM(i, h)`, `nn.GRU(i, h, 2, bidirectional=True)`, `nn.RNN(i, h, "relu")` | [`Lstm::new(i, h, &mut rng)`](Lstm::new), [`Gru::with_stack(i, h, Stack::new().layers(2).bidirectional(), &mut rng)`](Gru::with_stack), [`Rnn::new(i, h, &mut rng).relu()`](Rnn) |
//! | `nn.LSTMCell(i, h)`, `nn.GRUCell(i, h)`, `nn.RNNCell(i, h)` | [`LstmCell::new(i, h, &mut rng)`](LstmCell), [`GruCell::new(i, h, &mut rng)`](GruCell), [`RnnCell::new(i, h, &mut rng)`](RnnCell) |
//! | `nn.MultiheadAttention(64, 4, batch_first=True)` | [`MultiheadAttention::new(64, 4, &mut rng).batch_first()`](MultiheadAttention) |
//! | `attention(x, x, x, attn_mask=m, is_causal=True, key_padding_mask=p)` | [`attention.attend(&x, &x, &x, &[Mask::Causal, Mask::Padding(&lengths)])`](MultiheadAttention::attend) |
//! | a boolean or a float `attn_mask` | [`Mask::Additive(&m)`](Mask), −∞ where a query may not look |
//! | `F.scaled_dot_product_attention(q, k, v)` | [`scaled_dot_product_attention(&q, &k, &v, &[])`](scaled_dot_product_attention) |
//! | `nn.TransformerEncoderLayer(64, 4, 256, 0.0, "gelu", norm_first=True)` | [`TransformerEncoderLayer::new(TransformerSettings::new(64, 4).feedforward(256).dropout(0.0).activation(Activation::Gelu).norm_first(), &mut rng)`](TransformerEncoderLayer) |
//! | `nn.TransformerEncoder(layer, 2, norm)`, `nn.TransformerDecoder(layer, 2)` | [`TransformerEncoder::new(settings, 2, &mut rng).with_norm(norm)`](TransformerEncoder), [`TransformerDecoder::new(settings, 2, &mut rng)`](TransformerDecoder): layers draw weights of their own |
//! | `encoder(x, mask=nn.Transformer.generate_square_subsequent_mask(t), is_causal=True)` | [`encoder.forward_masked(&x, &[Mask::Causal])`](TransformerEncoder::forward_masked), or [`encoder.causal()`](TransformerEncoder::causal) in every call |
//! | `F.dropout(x, 0.1)` | [`x.dropout(0.1, &stream)`](backflow_tensor::Tensor::dropout) |
//! | `model.train()`, then `forward`, `backward` | [`training(&rng.split(step), \|\| model.forward(&x))`](backflow_tensor::training()); `optimizer.step_with` does it by itself |
//! | `model.eval()` | nothing, or [`evaluation(\|\| model.forward(&x))`](backflow_tensor::evaluation) to say so |
//! | `self.register_buffer("mean", m)` | a field [`m.buffer()`](backflow_tensor::Tensor::buffer) |
//! | `F.relu(x)` | [`x.relu()`](backflow_tensor::Tensor::relu) |
//! | `nn.init.kaiming_normal_(w, nonlinearity="relu")` | [`Init::HeNormal.sample(shape, Activation::Relu.gain(), dtype, &mut rng)`](Init::sample) |
//! | `nn.init.xavier_normal_(w, gain=1.2)` | `Init::XavierNormal.sample(shape, 1.2, dtype, &mut rng)`; in a network, [`Init::XavierNormal.with_gain(1.2)`](Init::with_gain) |
//! | `nn.init.orthogonal_(lstm.weight_hh_l0[:h])` and so on, of each gate | [`Stack::new().recurrent_init(Init::Orthogonal)`](Stack::recurrent_init); of all weights [`init`](Stack::init) |
//! | `nn.init.eye_(w)`, `nn.init.dirac_(w)` of fields of odd sizes | [`Init::Identity`](Init) |
//! | `nn.init.calculate_gain("relu")` | [`Activation::Relu.gain()`](Activation::gain) |
//! | `model.named_parameters()` | [`model.parameters()`](Module::parameters) |
//! | `model.state_dict()` | [`model.state()`](Module::state), of the same names |
//! | `model.load_state_dict(state)`, with `strict=False` | `store::weights::load(&mut model, path)`, with `Loading::new().partial()` |
//! | `model.requires_grad_(False)` | [`model.freeze()`](Module::freeze), or [`freeze_where`](Module::freeze_where) by path |
//! | `model.requires_grad_(True)` | [`model.unfreeze()`](Module::unfreeze) |
//! | `copy.deepcopy(model)` | [`model.copied()`](Module::copied); `clone()` is an alias |
//! | `decoder.weight = encoder.weight` | `decoder.weight = encoder.weight.clone()`: [tied](Module#tied-weights) |
//! | `sum(p.numel() for p in model.parameters())` | [`model.parameter_count()`](Module::parameter_count) |
//! | `module.register_forward_hook(…)` | [`observe(observer, \|\| …)`](backflow_tensor::observe::observe) |
//! | `F.cross_entropy(x, t)` | [`x.cross_entropy(&t)`](backflow_tensor::Tensor::cross_entropy) |
//! | `torch.cat([a, b], 1)`, `torch.stack(xs)` | [`Tensor::cat([&a, &b], 1)`](backflow_tensor::Tensor::cat), [`Tensor::stack(&xs, 0)`](backflow_tensor::Tensor::stack) |
//! | `x.unbind(1)` | [`x.iter_axis(1)`](backflow_tensor::Tensor::iter_axis) |
//! | `x[:, -2:]`, `x[:, -1]` | [`x.slice(1, -2..)`](backflow_tensor::Tensor::slice), [`x.select(1, -1)`](backflow_tensor::Tensor::select) |
//! | `x[idx]`, `x.index_select(1, idx)` | [`x.index_select(0, &idx)`](backflow_tensor::Tensor::index_select), `x.index_select(1, &idx)`: places of any shape, negative ones from the end |
//! | `x[mask]`, `torch.masked_select(x, mask)` | [`x.masked_select(&mask)`](backflow_tensor::Tensor::masked_select) |
//! | `torch.chunk(x, 3, 1)`, `x.unfold(1, 3, 2)` | [`x.chunk(3, 1)`](backflow_tensor::Tensor::chunk), [`x.unfold(1, 3, 2)`](backflow_tensor::Tensor::unfold) |
//! | `torch.flip(x, [0, 1])`, `torch.roll(x, 1, 0)` | [`x.flip([0, 1])`](backflow_tensor::Tensor::flip), [`x.roll(1, 0)`](backflow_tensor::Tensor::roll) |
//! | `torch.tril(x)`, `torch.triu(x, 1)`, `torch.trace(x)` | [`x.tril(0)`](backflow_tensor::Tensor::tril), [`x.triu(1)`](backflow_tensor::Tensor::triu), [`x.trace()`](backflow_tensor::Tensor::trace) |
//! | `torch.floor(x)`, `torch.ceil(x)`, `torch.round(x)` | [`x.floor()`](backflow_tensor::Tensor::floor), [`x.ceil()`](backflow_tensor::Tensor::ceil), [`x.round()`](backflow_tensor::Tensor::round): halves to the even integer, gradient 0 |
//! | `torch.sort(x, 1)`, `torch.argsort(x, 1, descending=True)` | [`x.sort(1, Order::Ascending)`](backflow_tensor::Tensor::sort), [`x.argsort(1, Order::Descending)`](backflow_tensor::Tensor::argsort), both stable |
//! | `torch.topk(x, 5)` | [`x.topk(5, -1)`](backflow_tensor::Tensor::topk) |
//! | `torch.cumsum(x, 1)`, `torch.cumprod(x, 1)`, `torch.prod(x)` | [`x.cumsum(1)`](backflow_tensor::Tensor::cumsum), [`x.cumprod(1)`](backflow_tensor::Tensor::cumprod), [`x.prod(..)`](backflow_tensor::Tensor::prod) |
//! | `torch.einsum("bij,bjk->bik", a, b)`, `torch.outer(a, b)` | [`Tensor::einsum("bij,bjk->bik", [&a, &b])`](backflow_tensor::Tensor::einsum), [`a.outer(&b)`](backflow_tensor::Tensor::outer) |
//! | `torch.func.jvp`, `vjp`, `jacrev`, `hessian`; `vmap(grad(f))` | [`jvp`](backflow_tensor::jvp), [`vjp`](backflow_tensor::vjp), [`jacobian`](backflow_tensor::jacobian), [`hessian`](backflow_tensor::hessian); [`per_sample_gradients`](backflow_tensor::per_sample_gradients): [all kinds](backflow_tensor::derivatives) |
//! | `torch.randperm(n)` | [`rng.permutation(n)`](backflow_tensor::Rng::permutation) |
//! | `with torch.no_grad(): w -= lr * g` | [`w.assign(&(&w - &g * lr))`](backflow_tensor::Tensor::assign) in [`no_grad`](backflow_tensor::no_grad) |
//! | `F.mse_loss(x, t)` | [`mse_loss(&x, &t)`](loss::mse_loss) |
//! | `F.binary_cross_entropy_with_logits(x, t)` | [`binary_cross_entropy_with_logits(&x, &t)`](loss::binary_cross_entropy_with_logits) |
//! | `F.l1_loss(x, t)` and the like, the mean with default options | the function of that name in [`loss`] |
//! | `F.mse_loss(x, t, reduction="sum")` | [`MseLoss::new().reduction(Reduction::Sum).of(&x, &t)`](loss::MseLoss) |
//! | `nn.CrossEntropyLoss(w, ignore_index=0, label_smoothing=0.1)` | [`CrossEntropy::new().weight(&w).ignore_index(0).label_smoothing(0.1)`](loss::CrossEntropy), of scores and labels or probabilities |
//! | `nn.BCEWithLogitsLoss(pos_weight=w)`, `nn.BCELoss()` | [`BinaryCrossEntropyWithLogits::new().pos_weight(&w)`](loss::BinaryCrossEntropyWithLogits), [`BinaryCrossEntropy::new()`](loss::BinaryCrossEntropy) |
//! | `F.kl_div(x, t, reduction="batchmean")` | [`KlDiv::new().batch_mean().of(&x, &t)`](loss::KlDiv) |
#![forbid(unsafe_code)]

// The derive names the facade; inside this crate the tensors stand in for it.
extern crate backflow_tensor as backflow;

mod activation;
mod activation_layer;
mod adaptive_avg_pool2d;
mod attention;
mod avg_pool2d;
mod batch_norm;
mod conv1d;
mod conv2d;
mod conv_transpose2d;
mod distribution;
mod dropout;
mod dropout2d;
mod embedding;
mod fixup;
mod flatten;
mod group_norm;
mod gru;
mod gru_cell;
mod highway;
mod init;
mod init_settings;
mod instance_norm;
mod layer;
mod layer_norm;
mod linear;
pub mod loss;
mod lstm;
mod lstm_cell;
mod map;
mod max_pool2d;
mod mlp;
mod model_line;
mod multihead_attention;
mod names;
mod orthogonal;
mod place;
mod positions;
mod recurrent;
mod recurrent_cell;
mod residual;
mod rms_norm;
mod rnn;
mod rnn_cell;
mod run;
mod sequential;
mod transformer;
mod transformer_decoder;
mod transformer_encoder;

pub use activation::Activation;
pub use activation_layer::ActivationLayer;
pub use adaptive_avg_pool2d::AdaptiveAvgPool2d;
pub use attention::{Mask, attention_weights, scaled_dot_product_attention};
pub use avg_pool2d::AvgPool2d;
pub use backflow_nn_derive::Module;
pub use backflow_tensor::Module;
pub use batch_norm::{BatchNorm, BatchNorm1d, BatchNorm2d};
pub use conv_transpose2d::ConvTranspose2d;
pub use conv1d::Conv1d;
pub use conv2d::Conv2d;
pub use distribution::Distribution;
pub use dropout::Dropout;
pub use dropout2d::Dropout2d;
pub use embedding::Embedding;
pub use fixup::fixup;
pub use flatten::Flatten;
pub use group_norm::GroupNorm;
pub use gru::Gru;
pub use gru_cell::GruCell;
pub use highway::Highway;
pub use init::Init;
pub use init_settings::InitSettings;
pub use instance_norm::InstanceNorm2d;
pub use layer::{CloneLayer, Layer};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use lstm::{Lstm, LstmState};
pub use lstm_cell::LstmCell;
pub use max_pool2d::MaxPool2d;
pub use mlp::Mlp;
pub use model_line::{
    Computes, LineError, MOST_NUMBERS, MOST_PARAMETERS, ModelLine, Plan, PlanRow, Samples, Setting,
    SettingKind, WORDS, Word,
};
pub use multihead_attention::MultiheadAttention;
pub use names::NameError;
pub use positions::{LearnedPositions, SinusoidalPositions};
pub use recurrent::{RecurrentWeights, Stack};
pub use residual::Residual;
pub use rms_norm::RmsNorm;
pub use rnn::Rnn;
pub use rnn_cell::RnnCell;
pub use run::Run;
pub use sequential::Sequential;
pub use transformer::TransformerSettings;
pub use transformer_decoder::{TransformerDecoder, TransformerDecoderLayer};
pub use transformer_encoder::{TransformerEncoder, TransformerEncoderLayer};
