//! The site that reads a data set: configuration text for tests.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::publisher::{Layout, key, topic};
use super::{Dataset, StepLock};
use crate::field::site_text::SiteSpec;

/// How the gateway reads the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// From a [`StepLock`] served at this address.
    Modbus(SocketAddr),
    /// From a broker that a replay publishes to.
    Mqtt {
        /// The broker.
        broker: SocketAddr,
        /// First levels of the topics.
        prefix: String,
        /// How rows become messages.
        layout: Layout,
    },
}

/// A `stuck` rule over all columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StuckRule {
    /// No more than this between the least and the greatest value.
    pub epsilon: f64,
    /// For so long, in the recording's time.
    pub window: Duration,
}

/// The configuration of a site whose one source is a data set with `clock = "recorded"`.
#[derive(Debug, Clone)]
pub struct DatasetSite {
    /// Relative path and text of every file.
    pub files: Vec<(PathBuf, String)>,
    /// Tags in the order of the set's columns.
    pub tags: Vec<String>,
}

/// Class of every point of such a site.
const CLASS: &str = "recorded";
/// Id of its source.
const SOURCE: &str = "recording";

impl DatasetSite {
    /// A site that reads `data`. A point is stale after ten rows' time.
    #[must_use]
    pub fn new(
        data: &Dataset,
        transport: &Transport,
        stuck: Option<StuckRule>,
        spec: &SiteSpec,
    ) -> DatasetSite {
        let stale_ms = data.step_ns() / 100_000; // ten steps, in ms
        let gateway = &spec.gateway;
        let tags: Vec<String> = (0..data.columns.len()).map(|c| data.tag(c)).collect();
        let mut sources = String::from("schema = 1\n\n");
        let mut table = String::new();
        match transport {
            Transport::Modbus(address) => {
                let _ = write!(
                    sources,
                    "[[modbus]]\nid = \"{SOURCE}\"\ngateway = \"{gateway}\"\naddress = \"tcp://{address}\"\n\
                     timeout = \"2s\"\nclock = \"recorded\"\n\
                     time = {{ unit_id = 1, table = \"holding\", address = 0, order = \"ABCD\" }}\n\
                     poll = {{ fast = \"0s\", normal = \"0s\", slow = \"0s\" }}\n"
                );
                table.push_str(
                    "tag,description,class,source,unit_id,table,address,type,order,stale_after\n",
                );
                for (column, tag) in tags.iter().enumerate() {
                    let _ = writeln!(
                        table,
                        "{tag},recorded,{CLASS},{SOURCE},1,holding,0x{:X},f64,ABCD,{stale_ms}ms",
                        StepLock::register(column)
                    );
                }
            }
            Transport::Mqtt {
                broker,
                prefix,
                layout,
            } => {
                let filter = match layout {
                    Layout::TopicPerColumn => format!("{prefix}/+"),
                    Layout::Combined => prefix.clone(),
                };
                let _ = write!(
                    sources,
                    "[[mqtt]]\nid = \"{SOURCE}\"\ngateway = \"{gateway}\"\naddress = \"mqtt://{broker}\"\n\
                     topics = [\"{filter}\"]\nclock = \"recorded\"\n\
                     payload = {{ kind = \"json\", value = \"value\", time = \"ts\" }}\n\
                     stale_after = \"{stale_ms}ms\"\n"
                );
                table.push_str("tag,description,class,source,address\n");
                for (column, tag) in tags.iter().enumerate() {
                    let address = match layout {
                        Layout::TopicPerColumn => topic(prefix, data, column),
                        Layout::Combined => format!("{prefix}#values.{}", key(data, column)),
                    };
                    let _ = writeln!(table, "{tag},recorded,{CLASS},{SOURCE},{address}");
                }
            }
        }
        let mut files = vec![
            ("site.toml".into(), spec.site_toml()),
            ("sources.toml".into(), sources),
            ("points.csv".into(), table),
        ];
        if let Some(StuckRule { epsilon, window }) = stuck {
            let text = format!(
                "schema = 1\n\n[[stuck]]\nid = \"frozen\"\nselect = {{ class = \"{CLASS}\" }}\n\
                 epsilon = {epsilon:?}\nwindow = \"{}ms\"\nwhile = \"true\"\npriority = 3\n",
                window.as_millis()
            );
            files.push(("rules/stuck.toml".into(), text));
        }
        DatasetSite { files, tags }
    }
}
