//! What rpm-ostree and bootc upgrade from: the origins of the deployments that are here.

use std::path::PathBuf;

use super::need::{Candidate, Need};
use super::place::{Place, web};
use super::world::MachineView;
use super::{flatpak, keyfile};

/// One `any` of what all deployments come from: which of them is upgraded, only the running system knows.
pub(super) fn needs(world: &MachineView<'_>) -> Vec<Need> {
    let remotes = remotes(world);
    let origins = origins(world).into_iter();
    let places = origins.filter_map(|path| {
        let text = world.read(&path)?;
        from(&text, &path.display().to_string(), &remotes)
    });
    vec![Need::Any(places.collect())]
}

fn origins(world: &MachineView<'_>) -> Vec<PathBuf> {
    let systems = world.list("/ostree/deploy", "").into_iter();
    let deployments = systems.map(|system| system.join("deploy"));
    deployments
        .flat_map(|folder| world.list(&folder.to_string_lossy(), ".origin"))
        .collect()
}

/// The name of each remote and where it is.
fn remotes(world: &MachineView<'_>) -> Vec<(String, Candidate)> {
    let mut files = vec![PathBuf::from("/ostree/repo/config")];
    files.extend(world.list("/etc/ostree/remotes.d", ".conf"));
    let named = files.iter().filter_map(|path| {
        let text = world.read(path)?;
        let groups = keyfile::groups(&text).into_iter();
        let remotes = groups.filter_map(|group| {
            let name = group.strip_prefix("remote \"")?.strip_suffix('"')?;
            let origin = path.display().to_string();
            Some((name.to_owned(), flatpak::remote(&text, group, &origin)?))
        });
        Some(remotes.collect::<Vec<_>>())
    });
    named.flatten().collect()
}

fn from(text: &str, origin: &str, remotes: &[(String, Candidate)]) -> Option<Candidate> {
    let value = |key| keyfile::value(text, "origin", key);
    if let Some(image) = value("container-image-reference") {
        return Some(Candidate::new(image_place(image), image, origin));
    }
    let refspec = value("refspec").or_else(|| value("baserefspec"))?;
    let name = refspec.split_once(':').map(|(remote, _)| remote)?;
    let known = remotes.iter().find(|(remote, _)| remote == name);
    let unknown = || {
        let why = Place::Unknown(format!("no remote is named {name}"));
        Candidate::new(why, refspec, origin)
    };
    Some(known.map_or_else(unknown, |(_, candidate)| candidate.clone()))
}

/// `ostree-image-signed:docker://HOST/NAME`, `ostree-unverified-registry:HOST/NAME`, `ostree-remote-image:REMOTE:…`.
fn image_place(image: &str) -> Place {
    let local = [
        "containers-storage:",
        "oci:",
        "oci-archive:",
        "docker-archive:",
        "dir:",
    ];
    if local
        .iter()
        .any(|transport| image.contains(&format!(":{transport}")))
    {
        return Place::Local;
    }
    let registry = image.split_once("registry:").map(|(_, name)| name);
    // ostree-remote-registry:REMOTE:HOST/NAME
    let registry = match registry {
        Some(name) if image.starts_with("ostree-remote-registry:") => {
            name.split_once(':').map(|(_, name)| name)
        }
        other => other,
    };
    let name = registry.or_else(|| image.split_once("docker://").map(|(_, name)| name));
    let Some(host) = name.and_then(|name| name.split('/').next()) else {
        return Place::Unknown("its registry is not known".to_owned());
    };
    match host {
        "docker.io" => web("https://registry-1.docker.io/v2/"),
        host if host.contains(['.', ':']) || host == "localhost" => {
            web(&format!("https://{host}/v2/"))
        }
        _ => Place::Unknown("it names no registry".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_remote_or_an_image() {
        let fedora = Candidate::new(web("https://ostree.example"), "https://ostree.example", "x");
        let remotes = [("fedora".to_owned(), fedora.clone())];
        let of = |line: &str| from(&format!("[origin]\n{line}\n"), "here", &remotes);
        assert_eq!(
            of("refspec=fedora:fedora/42/x86_64/silverblue"),
            Some(fedora.clone())
        );
        assert_eq!(of("baserefspec=fedora:fedora/42"), Some(fedora));
        let registry = web("https://quay.io/v2/");
        for image in [
            "ostree-image-signed:docker://quay.io/fedora/x:42",
            "ostree-unverified-registry:quay.io/fedora/x:42",
            "ostree-remote-image:fedora:registry:quay.io/fedora/x@sha256:00",
            "ostree-remote-registry:fedora:quay.io/fedora/x",
        ] {
            let line = format!("container-image-reference={image}");
            assert_eq!(of(&line).unwrap().place, registry, "{image}");
        }
        let local =
            "container-image-reference=ostree-unverified-image:containers-storage:localhost/x";
        assert!(of(local).unwrap().is_local());
        assert_eq!(of("unconfigured-state=x"), None);
    }
}
