//! Numbers as JSON has them, and the three that it lacks as text: `"NaN"`, `"inf"`, `"-inf"`. For
//! `#[serde(with = "json_number")]`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(crate) fn serialize<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if x.is_finite() { serializer.serialize_f64(*x) } else { serializer.collect_str(x) }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match Written::deserialize(deserializer)? {
        Written::Number(x) => Ok(x),
        Written::Text(text) if ["NaN", "inf", "-inf"].contains(&&*text) => {
            text.parse().map_err(D::Error::custom)
        }
        Written::Text(text) => Err(D::Error::custom(format!("{text:?} is not a number"))),
    }
}

/// One of them, in what holds several.
#[derive(Serialize, Deserialize)]
struct Number(#[serde(with = "self")] f64);

/// Several in their order.
pub(crate) mod list {
    use super::Number;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().map(|&x| Number(x)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<Number>::deserialize(deserializer)?.into_iter().map(|Number(x)| x).collect())
    }
}

/// Several such lists.
pub(crate) mod rows {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct List(#[serde(with = "super::list")] Vec<f64>);

    pub(crate) fn serialize<S: Serializer>(rows: &[Vec<f64>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(rows.iter().map(|row| List(row.clone())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<f64>>, D::Error> {
        Ok(Vec::<List>::deserialize(deserializer)?.into_iter().map(|List(row)| row).collect())
    }
}

/// Such numbers by name.
pub(crate) mod by_name {
    use super::Number;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::collections::BTreeMap;

    pub(crate) fn serialize<S: Serializer>(
        numbers: &BTreeMap<String, f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(numbers.iter().map(|(name, &x)| (name, Number(x))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        let numbers = BTreeMap::<String, Number>::deserialize(deserializer)?;
        Ok(numbers.into_iter().map(|(name, Number(x))| (name, x)).collect())
    }
}
