//! Configuration text for sites whose devices are recordings (`formats.md` section 2): what tests
//! write into a folder so that the real gateway reads the simulator as it would read a plant.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where the parts of a recorded site meet.
#[derive(Debug, Clone)]
pub struct SiteSpec {
    /// Site id.
    pub site: String,
    /// Gateway id.
    pub gateway: String,
    /// Broker between gateway and centre.
    pub broker: SocketAddr,
    /// Where the centre listens.
    pub listen: SocketAddr,
    /// Base URL of a store that mirrors the history, if there is one.
    pub mirror: Option<String>,
}

impl SiteSpec {
    /// `site.toml`
    pub(crate) fn site_toml(&self) -> String {
        let SiteSpec {
            site,
            gateway,
            broker,
            listen,
            mirror,
        } = self;
        let mut text = format!(
            "schema = 1\n\n[site]\nid = \"{site}\"\nname = \"{site}\"\nzone = \"Asia/Shanghai\"\n\n\
             [[gateway]]\nid = \"{gateway}\"\n\n\
             [center]\nlisten = \"{listen}\"\nbroker = \"mqtt://{broker}\"\n\n\
             [storage]\npath = \"data\"\n"
        );
        if let Some(url) = mirror {
            let _ = write!(
                text,
                "\n[[sink]]\nid = \"mirror\"\nurl = \"{url}\"\norg = \"davy\"\nbucket = \"davy\"\n"
            );
        }
        text
    }
}

/// Writes the files of a site into a folder.
///
/// # Errors
/// A folder or file cannot be written.
pub fn write_site(dir: &Path, files: &[(PathBuf, String)]) -> std::io::Result<()> {
    for (path, text) in files {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}
