//! The Python packages that are installed for a workspace, read from the metadata that installers
//! leave beside them. No Python runs: an environment of a workspace may hold any program.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Variables of the environment that name the Python environment in use.
pub(in crate::app) const PYTHON_VARIABLES: [&str; 2] = ["VIRTUAL_ENV", "CONDA_PREFIX"];
/// Folders in which a project keeps its own environment.
const FOLDERS: [&str; 3] = [".venv", "venv", "env"];
/// Bytes of metadata that are read: name and version come first.
const HEAD_BYTES: u64 = 64 * 1024;

/// A Python environment and what is installed in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PythonEnvironment {
    /// Its folder: relative to the workspace where it lies inside of it.
    pub path: String,
    /// Version of Python, as the environment tells; none where it does not.
    pub version: Option<String>,
    /// Version of each package, by name.
    pub packages: BTreeMap<String, String>,
}

impl PythonEnvironment {
    /// The environment of the workspace at `root`: the one that `variables` name, else the one in
    /// a folder of the workspace or of its git tree `top`.
    pub(super) fn find(
        root: &Path,
        top: &Path,
        variables: &BTreeMap<String, String>,
    ) -> Option<Self> {
        let named = PYTHON_VARIABLES.iter().filter_map(|name| variables.get(*name));
        let named = named.map(PathBuf::from);
        let own = [root, top].into_iter().flat_map(|at| FOLDERS.map(|name| at.join(name)));
        named.chain(own).find_map(|folder| Self::read(root, &folder))
    }

    fn read(root: &Path, folder: &Path) -> Option<Self> {
        let config = head(&folder.join("pyvenv.cfg"));
        let conda = folder.join("conda-meta");
        if config.is_none() && !conda.is_dir() {
            return None;
        }
        let mut packages = BTreeMap::new();
        let mut version = config.as_deref().and_then(|text| {
            let keys = ["version", "version_info"];
            keys.into_iter().find_map(|key| field(text, key, '='))
        });
        for entry in entries(&conda) {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // `<name>-<version>-<build>.json`
            let mut parts = name.strip_suffix(".json").unwrap_or_default().rsplitn(3, '-');
            if let (Some(_), Some(found), Some(package)) =
                (parts.next(), parts.next(), parts.next())
            {
                if package == "python" && version.is_none() {
                    version = Some(found.to_owned());
                }
                packages.insert(package.to_owned(), found.to_owned());
            }
        }
        for library in [folder.join("lib"), folder.join("lib64")] {
            for python in entries(&library) {
                for installed in entries(&python.join("site-packages")) {
                    packages.extend(package(&installed));
                }
            }
        }
        let path = folder.strip_prefix(root).unwrap_or(folder).to_string_lossy().into_owned();
        Some(Self { path, version, packages })
    }
}

/// Name and version of an installed package, from `<name>.dist-info` or `<name>.egg-info`.
fn package(installed: &Path) -> Option<(String, String)> {
    let extension = installed.extension()?.to_str()?;
    let metadata = match extension {
        "dist-info" => installed.join("METADATA"),
        "egg-info" if installed.is_dir() => installed.join("PKG-INFO"),
        "egg-info" => installed.to_owned(),
        _ => return None,
    };
    let text = head(&metadata).unwrap_or_default();
    let stated = field(&text, "Name", ':').zip(field(&text, "Version", ':'));
    let stem = installed.file_stem()?.to_string_lossy().into_owned();
    stated.or_else(|| stem.split_once('-').map(|(name, version)| (name.into(), version.into())))
}

/// The value of `key` in the lines before the first empty one.
fn field(text: &str, key: &str, between: char) -> Option<String> {
    let mut lines = text.lines().take_while(|line| !line.trim().is_empty());
    lines.find_map(|line| {
        let (name, value) = line.split_once(between)?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}

/// The beginning of a plain file.
fn head(path: &Path) -> Option<String> {
    if !fs::metadata(path).is_ok_and(|meta| meta.is_file()) {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(HEAD_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test writes plain files")]
    fn put(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn packages_are_read_from_what_installers_leave() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert_eq!(PythonEnvironment::find(root, root, &BTreeMap::new()), None);
        put(&root.join(".venv/pyvenv.cfg"), "home = /usr/bin\nversion = 3.11.2\n");
        let site = root.join(".venv/lib/python3.11/site-packages");
        let metadata = "Metadata-Version: 2.1\nName: scikit-learn\nVersion: 1.5.0\n\nVersion: no\n";
        put(&site.join("scikit_learn-1.5.0.dist-info/METADATA"), metadata);
        put(&site.join("numpy-2.0.1.dist-info/RECORD"), "");
        put(&site.join("old-0.1.egg-info"), "Name: old\nVersion: 0.1\n");
        put(&site.join("numpy/__init__.py"), "raise SystemExit\n");
        let found = PythonEnvironment::find(root, root, &BTreeMap::new()).unwrap();
        assert_eq!((found.path.as_str(), found.version.as_deref()), (".venv", Some("3.11.2")));
        let packages: Vec<(&str, &str)> =
            found.packages.iter().map(|(name, version)| (&**name, &**version)).collect();
        assert_eq!(packages, [("numpy", "2.0.1"), ("old", "0.1"), ("scikit-learn", "1.5.0")]);
        put(&root.join("conda/conda-meta/python-3.12.1-h1.json"), "{}");
        put(&root.join("conda/conda-meta/history"), "");
        let conda = root.join("conda").to_string_lossy().into_owned();
        let variables = BTreeMap::from([("CONDA_PREFIX".to_owned(), conda)]);
        let found = PythonEnvironment::find(root, root, &variables).unwrap();
        assert_eq!((found.path.as_str(), found.version.as_deref()), ("conda", Some("3.12.1")));
    }
}
