//! What goes through each unit of a layer: through each channel, of images.

use crate::quantity::{Drawn, Measured, Quantity, Read, Unit};

/// √E y² of each unit, over the samples and, of a channel, its places.
pub static UNIT_RMS: Quantity = Quantity {
    name: "unit_rms",
    title: "Outputs by unit",
    unit: Unit::Of("output"),
    about: "The root of the mean square of each unit's outputs, a unit of images being a channel.",
    read: Read::Units(|layer| &layer.unit_rms),
    measured: Measured::Units,
    drawn: Drawn::UnitMaps { id: "unit-outputs" },
};

/// √E δ² of each unit.
pub static UNIT_DELTA_RMS: Quantity = Quantity {
    name: "unit_delta_rms",
    title: "Deltas by unit",
    unit: Unit::Of("loss / output"),
    about: "The root of the mean square of each unit's deltas.",
    read: Read::Units(|layer| &layer.unit_delta_rms),
    measured: Measured::Units,
    drawn: Drawn::UnitMaps { id: "unit-deltas" },
};
