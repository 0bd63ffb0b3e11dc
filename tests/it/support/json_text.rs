//! JSON as text: its fields stay in order, and short parts on one line.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// The longest line.
const WIDTH: usize = 100;

#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// As it is written.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Each field's value exchanged for what `exchange` makes of it, from the
    /// inside out.
    pub(crate) fn map(self, exchange: &impl Fn(&str, Self) -> Self) -> Self {
        match self {
            Self::Scalar(_) => self,
            Self::List(list) => {
                Self::List(list.into_iter().map(|node| node.map(exchange)).collect())
            }
            Self::Map(fields) => {
                let exchanged = fields.into_iter().map(|(name, node)| {
                    let node = exchange(&name, node.map(exchange));
                    (name, node)
                });
                Self::Map(exchanged.collect())
            }
        }
    }

    /// The text, broken where it would be too long for a line.
    pub(crate) fn pretty(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text
    }

    fn write(&self, text: &mut String, indent: usize) {
        let flat = self.flat();
        let column = text.len() - text.rfind('\n').map_or(0, |at| at + 1);
        if column + flat.chars().count() < WIDTH {
            text.push_str(&flat);
            return;
        }
        let pad = "  ".repeat(indent + 1);
        let (open, close, n) = match self {
            Self::Scalar(_) => return text.push_str(&flat),
            Self::List(list) => ('[', ']', list.len()),
            Self::Map(fields) => ('{', '}', fields.len()),
        };
        text.push(open);
        for i in 0..n {
            text.push_str(if i > 0 { ",\n" } else { "\n" });
            text.push_str(&pad);
            match self {
                Self::List(list) => list[i].write(text, indent + 1),
                Self::Map(fields) => {
                    text.push_str(&format!("{}: ", quoted(&fields[i].0)));
                    fields[i].1.write(text, indent + 1);
                }
                Self::Scalar(_) => {}
            }
        }
        text.push('\n');
        text.push_str(&"  ".repeat(indent));
        text.push(close);
    }

    fn flat(&self) -> String {
        match self {
            Self::Scalar(text) => text.clone(),
            Self::List(list) => {
                let parts: Vec<String> = list.iter().map(Self::flat).collect();
                format!("[{}]", parts.join(", "))
            }
            Self::Map(fields) => {
                let parts: Vec<String> = fields
                    .iter()
                    .map(|(name, node)| format!("{}: {}", quoted(name), node.flat()))
                    .collect();
                format!("{{{}}}", parts.join(", "))
            }
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Reader;

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar("null".to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(serde_json::Value::from(value).to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(quoted(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Map(fields))
    }
}
