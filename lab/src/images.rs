//! Container images: built from a Dockerfile without any registry, kept in
//! the cache by content, given to both nodes.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::contained::contained;
use crate::progress::joined;
use crate::topology::Host;
use crate::{drafts, host, paths};

/// Accepts what we made ourselves; the tool insists on a policy.
const POLICY: &str = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;

/// Builds `name` (with its tag) from a Dockerfile and the folder that its
/// `COPY`s are relative to; gives the archive's path. Nothing is built when
/// the same name, Dockerfile and content were built before.
///
/// # Errors
/// What buildah said.
pub fn build(name: &str, dockerfile: &Path, context: &Path) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    hash.update(name);
    hash_file(&mut hash, dockerfile)?;
    hash_folder(&mut hash, context)?;
    let folder = paths::cache()?.join("images");
    let key = crate::hex(&hash.finalize());
    let archive = folder.join(archive_name(name, &key[..16]));
    if archive.exists() {
        return Ok(archive);
    }
    let draft = drafts::draft(&folder)?;
    let policy = draft.path().join("policy.json");
    fs::write(&policy, POLICY).context("write a policy")?;
    let built = draft.path().join("image.tar");

    let mut bud = buildah(draft.path());
    bud.args(["bud", "--isolation=chroot", "--pull-never"]);
    bud.args(["--layers=false", "--timestamp=0", "--quiet"]);
    bud.arg("--signature-policy").arg(&policy);
    bud.args(["--tag", name, "--file"])
        .arg(dockerfile)
        .arg(context);
    run(&mut bud).with_context(|| format!("build the image {name}"))?;

    let mut push = buildah(draft.path());
    push.args(["push", "--quiet", "--signature-policy"])
        .arg(&policy);
    push.arg(name);
    push.arg(format!("docker-archive:{}:{name}", built.display()));
    run(&mut push).with_context(|| format!("write the image {name}"))?;

    forget_older(&folder, name)?;
    fs::rename(&built, &archive).with_context(|| format!("publish {}", archive.display()))?;
    Ok(archive)
}

/// How many archives of one image stay in the cache.
const KEPT: usize = 4;

fn archive_name(name: &str, key: &str) -> String {
    let short = name.rsplit('/').next().unwrap_or(name).replace(':', "-");
    format!("{short}-{key}.tar")
}

/// Makes room for one more archive of this image: each build of a changed
/// program adds one.
fn forget_older(folder: &Path, name: &str) -> Result<()> {
    let (prefix, length) = (
        archive_name(name, ""),
        archive_name(name, &"0".repeat(16)).len(),
    );
    let prefix = prefix.trim_end_matches(".tar");
    let mut archives: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("list {}", folder.display()))?
        .flatten()
        .filter(|entry| {
            let file = entry.file_name();
            file.len() == length && file.to_str().is_some_and(|file| file.starts_with(prefix))
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    archives.sort();
    let surplus = (archives.len() + 1).saturating_sub(KEPT);
    for (_, path) in archives.into_iter().take(surplus) {
        fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(())
}

/// Gives buildah a /run, /etc and /var/lib whose changes are thrown away: it
/// makes folders of its own there, asked or not.
const PRIVATE: &str = r#"set -e
mount -t tmpfs extconn-lab /run
for folder in /etc /var/lib; do
    mkdir -p /run/overlay$folder/upper /run/overlay$folder/work
    mount -t overlay extconn-lab $folder -o \
        lowerdir=$folder,upperdir=/run/overlay$folder/upper,workdir=/run/overlay$folder/work
done
exec buildah "$@"
"#;

fn buildah(draft: &Path) -> std::process::Command {
    let mut command = contained("unshare");
    // No network: an image that needs a registry fails here, not at a user's.
    command.args(["--net", "--", "sh", "-c", PRIVATE, "buildah"]);
    // A store of its own, thrown away afterwards: images on scratch gain
    // nothing from a kept one, and a kept one can be broken by a kill.
    command.arg("--root").arg(draft.join("store"));
    command.arg("--runroot").arg(draft.join("run"));
    command.arg("--storage-driver=vfs");
    command.env("TMPDIR", draft);
    command
}

fn run(command: &mut std::process::Command) -> Result<()> {
    let output = command.output().context("run buildah")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn hash_file(hash: &mut Sha256, path: &Path) -> Result<()> {
    let mut file = fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
    let length = file.metadata().context("ask for a file's size")?.len();
    hash.update(length.to_le_bytes());
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => hash.update(&piece[..read]),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        }
    }
}

fn hash_folder(hash: &mut Sha256, folder: &Path) -> Result<()> {
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("list {}", folder.display()))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (
            entry.path(),
            entry.file_type().context("ask for a file's type")?,
        );
        hash.update(entry.file_name().as_encoded_bytes());
        if kind.is_dir() {
            hash.update(b"/");
            hash_folder(hash, &path)?;
        } else if kind.is_symlink() {
            let target =
                fs::read_link(&path).with_context(|| format!("read {}", path.display()))?;
            hash.update(target.as_os_str().as_encoded_bytes());
        } else {
            hash_file(hash, &path)?;
        }
    }
    Ok(())
}

/// Gives an OCI or docker archive to every node, at the same time. A node
/// whose image of that name has the same content is left alone.
pub fn load(archive: &Path) -> Result<()> {
    let mut hash = Sha256::new();
    hash_file(&mut hash, archive)?;
    let content = crate::hex(&hash.finalize());
    let names = names_in(archive)?;
    std::thread::scope(|scope| {
        let loads = Host::NODES.map(|node| {
            let (names, content) = (names.as_deref(), &content);
            scope.spawn(move || load_into(node, archive, names, content))
        });
        loads.into_iter().try_for_each(joined)
    })
}

/// Gives an image that every node has another name as well, in place of what had it.
///
/// # Errors
/// A node does not have it.
pub fn tag(name: &str, also: &str) -> Result<()> {
    for node in Host::NODES {
        let argv = ["ctr", "--namespace=k8s.io", "images", "tag", "--force"];
        let output = host::command(node, &[argv.as_slice(), &[name, also]].concat())?
            .output()
            .context("run ctr")?;
        if !output.status.success() {
            bail!(
                "{node} does not call {name} also {also}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
    }
    Ok(())
}

/// The names that a docker archive gives its images; `None` for an OCI archive.
fn names_in(archive: &Path) -> Result<Option<String>> {
    let output = std::process::Command::new("tar")
        .args(["--extract", "--to-stdout", "--file"])
        .arg(archive)
        .arg("manifest.json")
        .output()
        .context("run tar")?;
    if !output.status.success() {
        return Ok(None);
    }
    let manifest: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("read the manifest of {}", archive.display()))?;
    let tags = manifest.as_array().into_iter().flatten();
    Ok(Some(
        tags.map(|image| image["RepoTags"].to_string()).collect(),
    ))
}

fn load_into(node: Host, archive: &Path, names: Option<&str>, content: &str) -> Result<()> {
    // What the node was given last under these names.
    let given = names.map(|names| {
        let key = crate::hex(&Sha256::digest(names));
        paths::host(node).join("images").join(key)
    });
    if let Some(given) = &given
        && fs::read_to_string(given).is_ok_and(|last| last == content)
    {
        return Ok(());
    }
    // By stdin: the node sees neither our /tmp nor our /var.
    let file = fs::File::open(archive).with_context(|| format!("open {}", archive.display()))?;
    let argv = ["ctr", "--namespace=k8s.io", "images", "import", "-"];
    let output = host::command(node, &argv)?
        .stdin(file)
        .output()
        .context("run ctr")?;
    if !output.status.success() {
        bail!(
            "{node} does not take {}: {}",
            archive.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let Some(given) = given else {
        return Ok(());
    };
    let folder = given.parent().context("a record is in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    fs::write(&given, content).with_context(|| format!("write {}", given.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_oldest_archives_of_the_same_image_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, digit: &str| {
            let path = folder.path().join(archive_name(name, &digit.repeat(16)));
            let file = fs::File::create(&path).unwrap();
            let age = std::time::Duration::from_secs(100 - digit.parse::<u64>().unwrap());
            file.set_modified(std::time::SystemTime::now() - age)
                .unwrap();
            path
        };
        let one = ["1", "2", "3", "4", "5"].map(|digit| make("localhost/one:1", digit));
        let other = make("localhost/one:10", "1");
        forget_older(folder.path(), "localhost/one:1").unwrap();
        let kept = one.map(|path| path.exists());
        assert_eq!(kept, [false, false, true, true, true]);
        assert!(other.exists());
    }
}
