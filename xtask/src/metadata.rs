//! What cargo knows of the workspace's packages and of what they are built from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::command::{Failure, cargo, output};

/// A package of the dependency graph.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence expression, where it states one.
    pub license: Option<String>,
    /// The native library it links or brings along, where there is one.
    pub links: Option<String>,
    /// Whether it is one of the workspace's own.
    pub own: bool,
}

/// The names of everything `package` is built from on any platform, itself left out.
///
/// `features` are cargo's own arguments that choose features.
pub fn built_from(package: &str, features: &[&str]) -> Result<BTreeSet<String>, Failure> {
    let mut arguments =
        vec!["tree", "--locked", "--target", "all", "-e", "normal,build", "--prefix", "none", "-f", "{p}"];
    arguments.extend(["-p", package]);
    arguments.extend(features);
    let printed = output(&mut cargo(arguments))?;
    Ok(printed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != package)
        .map(str::to_owned)
        .collect())
}

/// The workspace's own packages and what each names in its manifest (dev-dependencies left out).
pub fn edges() -> Result<BTreeMap<String, BTreeSet<String>>, Failure> {
    let metadata = read(&["--no-deps"])?;
    let mut edges = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let named = package["dependencies"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
            .filter_map(|dependency| dependency["name"].as_str())
            .map(str::to_owned)
            .collect();
        if let Some(name) = package["name"].as_str() {
            edges.insert(name.to_owned(), named);
        }
    }
    Ok(edges)
}

/// Every package that any target of the workspace may be built from, with any feature.
pub fn packages() -> Result<Vec<Package>, Failure> {
    let metadata = read(&["--all-features"])?;
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    Ok(metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|package| {
            Some(Package {
                name: package["name"].as_str()?.to_owned(),
                version: package["version"].as_str()?.to_owned(),
                license: package["license"].as_str().map(str::to_owned),
                links: package["links"].as_str().map(str::to_owned),
                own: members.contains(package["id"].as_str()?),
            })
        })
        .collect())
}

fn read(arguments: &[&str]) -> Result<Value, Failure> {
    let fixed = ["metadata", "--format-version", "1", "--locked"];
    Ok(serde_json::from_str(&output(&mut cargo(fixed.iter().chain(arguments)))?)?)
}
