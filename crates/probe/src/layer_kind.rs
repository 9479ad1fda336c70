//! [`LayerKind`]: what a layer of a record is, by name and by role, and how logs say it.
//!
//! Older logs have the name alone. This is the one place where a role is made of a name.

use backflow_nn::Activation;
use backflow_tensor::observe::{Announcement, Role, Side};
use serde::{Deserialize, Serialize};

/// What a layer is: a name for tables, and the role by which figures are judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Line")]
pub struct LayerKind {
    /// `linear`, the name of the activation function, `named`, or what else the layer announced.
    pub name: String,
    /// What the layer is to whoever judges its figures.
    #[serde(with = "RoleLine")]
    pub role: Role,
}

impl From<&Announcement> for LayerKind {
    fn from(what: &Announcement) -> Self {
        Self { name: what.name.to_owned(), role: what.role }
    }
}

/// What a log has.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    /// Up to version 0.1.
    Name(String),
    Kind {
        name: String,
        #[serde(with = "RoleLine")]
        role: Role,
    },
}

impl From<Line> for LayerKind {
    fn from(line: Line) -> Self {
        match line {
            Line::Name(name) => {
                let role = match &*name {
                    "linear" => Role::WeightedMap,
                    "named" => Role::Named,
                    function => function.parse().map_or(Role::Other, Activation::role),
                };
                Self { name, role }
            }
            Line::Kind { name, role } => Self { name, role },
        }
    }
}

/// [`Role`] as logs write it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Role", rename_all = "kebab-case")]
enum RoleLine {
    WeightedMap,
    Activation {
        #[serde(with = "SideLine")]
        below: Side,
        #[serde(with = "SideLine")]
        above: Side,
    },
    Normalisation,
    Pooling,
    Recurrence,
    Attention,
    AttentionWeights,
    ResidualSum,
    Dropout,
    Named,
    Other,
}

/// [`Side`] as logs write it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Side", rename_all = "kebab-case")]
enum SideLine {
    Open,
    Asymptote(f64),
    Flat(f64),
}

#[cfg(test)]
mod tests {
    use super::LayerKind;
    use backflow_nn::Activation;
    use backflow_tensor::observe::Role;

    fn every_role() -> Vec<Role> {
        let mut roles = vec![
            Role::WeightedMap,
            Role::Normalisation,
            Role::Pooling,
            Role::Recurrence,
            Role::Attention,
            Role::AttentionWeights,
            Role::ResidualSum,
            Role::Dropout,
            Role::Named,
            Role::Other,
        ];
        roles.extend(Activation::ALL.map(Activation::role));
        roles
    }

    #[test]
    fn kinds_come_back_as_they_were() {
        for role in every_role() {
            let kind = LayerKind { name: "any".to_owned(), role };
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<LayerKind>(&text).unwrap(), kind, "{text}");
        }
        let linear = LayerKind { name: "linear".to_owned(), role: Role::WeightedMap };
        assert_eq!(serde_json::to_string(&linear).unwrap(), r#"{"name":"linear","role":"weighted-map"}"#);
    }

    #[test]
    fn older_logs_have_names_alone() {
        let role = |name: &str| serde_json::from_str::<LayerKind>(&format!("{name:?}")).unwrap().role;
        assert_eq!((role("linear"), role("named")), (Role::WeightedMap, Role::Named));
        for activation in Activation::ALL {
            assert_eq!(role(activation.name()), activation.role(), "{activation}");
        }
        assert_eq!(role("something of a user's"), Role::Other);
    }
}
