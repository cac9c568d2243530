//! `auto` held against apt itself: for each file of sources the hosts that `apt-get update` would ask, and what it refuses.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use reqwest::Url;
use serde_json::Value;
use tempfile::TempDir;

const LIST: &str = "etc/apt/sources.list";
const SOURCES: &str = "etc/apt/sources.list.d/x.sources";
const MIRRORS: &str = "https://one.test/debian\tpriority:1\n# c\nhttp://two.test/debian/\n";

/// A root with these files, a list of mirrors, and the methods that apt runs.
fn root(file: &str, text: &str) -> TempDir {
    let root = TempDir::new().unwrap();
    for folder in [
        "var/lib/apt/lists/partial",
        "var/lib/dpkg",
        "etc/apt/apt.conf.d",
        "etc/apt/sources.list.d",
        "methods",
    ] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
    fs::write(root.path().join("etc/apt/mirrors"), MIRRORS).unwrap();
    fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
    fs::write(root.path().join(file), text).unwrap();
    for entry in fs::read_dir("/usr/lib/apt/methods").unwrap().flatten() {
        symlink(
            entry.path(),
            root.path().join("methods").join(entry.file_name()),
        )
        .unwrap();
    }
    for method in ["tor+https", "tor+http", "ar+https"] {
        let _ = symlink(
            "/usr/lib/apt/methods/https",
            root.path().join("methods").join(method),
        );
    }
    root
}

fn apt(root: &Path, words: &[&str]) -> (String, String) {
    let main = root.join("apt.conf");
    let dir = root.display();
    let text = format!(
        "Dir \"{dir}\"; Dir::State::status \"{dir}/var/lib/dpkg/status\"; Dir::Bin::methods \"{dir}/methods\";
         Dir::Bin::Methods::ftp \"ftp\"; APT::Architecture \"amd64\"; APT::Architectures \"amd64\";"
    );
    fs::write(&main, text).unwrap();
    let output = Command::new("apt-get")
        .args(words)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .env("APT_CONFIG", &main)
        .output()
        .unwrap();
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// What is asked for this URI: `HOST:PORT`s, and the URL itself unless it is that of a list.
fn asked(uri: &str) -> Vec<Url> {
    let Some((method, rest)) = uri.split_once(':') else {
        return Vec::new();
    };
    let scheme = match method {
        "mirror" => "http",
        // What apt does with the list, which it reads below the real root.
        "mirror+file" => {
            return MIRRORS
                .lines()
                .filter_map(|line| Url::parse(line.split('\t').next()?).ok())
                .collect();
        }
        other => other.rsplit('+').next().unwrap(),
    };
    let url = Url::parse(&format!("{scheme}:{rest}"));
    url.into_iter()
        .filter(Url::has_host)
        .filter(|url| url.scheme() != "cdrom")
        .collect()
}

fn place(url: &Url) -> String {
    format!(
        "{}:{}",
        url.host_str().unwrap(),
        url.port_or_known_default().unwrap_or(0)
    )
}

struct Ours {
    targets: Vec<String>,
    warned: bool,
}

fn ours(root: &Path) -> Ours {
    let output = Command::new(env!("CARGO_BIN_EXE_upgrade-gate"))
        .args([
            "--root",
            root.to_str().unwrap(),
            "config",
            "--json",
            "--profile",
            "apt-daily",
        ])
        .env_clear()
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines: Vec<&str> = shown["auto"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let is_group = |line: &&&str| {
        line.split(" or ")
            .all(|word| Url::parse(word).is_ok_and(|url| url.has_host()))
            && !line.contains(" (")
    };
    let groups = lines.iter().filter(is_group);
    Ours {
        targets: groups
            .flat_map(|line| line.split(" or "))
            .map(str::to_owned)
            .collect(),
        warned: lines.iter().any(|line| line.starts_with("warning: ")),
    }
}

fn compare(file: &str, text: &str) {
    let root = root(file, text);
    let found = ours(root.path());
    let targets: Vec<Url> = found
        .targets
        .iter()
        .map(|target| Url::parse(target).unwrap())
        .collect();
    let (printed, errors) = apt(root.path(), &["update", "--print-uris"]);
    if errors.contains("E: ") {
        assert!(
            found.warned,
            "apt refuses what we take:\n{text}\n{errors}\nours: {:?}",
            found.targets
        );
        return;
    }
    assert!(!found.warned, "we refuse what apt takes:\n{text}");
    let uris: Vec<&str> = printed
        .lines()
        .filter_map(|line| line.split('\'').nth(1))
        .collect();
    let hosts: BTreeSet<String> = uris
        .iter()
        .flat_map(|uri| asked(uri))
        .map(|url| place(&url))
        .collect();
    let own: BTreeSet<String> = targets.iter().map(place).collect();
    assert_eq!(own, hosts, "{text}\n{printed}");
    let (printed, _) = apt(
        root.path(),
        &[
            "indextargets",
            "--no-release-info",
            "--format",
            "$(REPO_URI)",
        ],
    );
    let hosts: BTreeSet<String> = printed
        .lines()
        .flat_map(asked)
        .map(|url| place(&url))
        .collect();
    assert_eq!(own, hosts, "{text}\n{printed}");
    for index in targets
        .iter()
        .filter(|url| url.path().ends_with("/InRelease"))
    {
        let same = |uri: &&&str| asked(uri).iter().any(|url| url.path() == index.path());
        assert!(
            text.contains("mirror+file") || uris.iter().any(|uri| same(&uri)),
            "{index}\n{text}"
        );
    }
}

#[test]
#[ignore = "needs apt-get"]
fn the_hosts_of_sources_list_are_those_that_apt_asks() {
    for text in LINES {
        compare(LIST, text);
    }
}

#[test]
#[ignore = "needs apt-get"]
fn the_hosts_of_deb822_sources_are_those_that_apt_asks() {
    for text in STANZAS {
        compare(SOURCES, text);
    }
}

#[test]
#[ignore = "needs apt-get"]
fn the_files_that_are_read_are_those_that_apt_reads() {
    for name in [
        "x.list",
        "x.list.save",
        "x",
        ".x.list",
        "x y.list",
        "x.list.",
        "10-x_y:z.list",
        "x.sources.list",
        "X.LIST",
    ] {
        compare(
            &format!("etc/apt/sources.list.d/{name}"),
            "deb http://a.test/ s main\n",
        );
    }
    for conf in CONFIGURATIONS {
        let root = root("etc/apt/my.list", "deb http://a.test/ s main\n");
        fs::write(root.path().join("etc/apt/apt.conf.d/x"), conf).unwrap();
        let (printed, errors) = apt(root.path(), &["update", "--print-uris"]);
        let found = ours(root.path());
        assert_eq!(
            found.warned,
            errors.contains("Syntax error"),
            "{conf}\n{errors}"
        );
        assert_eq!(
            found.targets.is_empty(),
            printed.is_empty(),
            "{conf}\n{printed}"
        );
    }
}

const LINES: &[&str] = &[
    "",
    "# deb http://a.test/ s main\n",
    "deb http://a.test/debian bookworm main contrib # x\n",
    "deb\thttp://a.test/debian\tbookworm\tmain\n",
    "  deb   https://a.test/debian/   bookworm   main  \r\n",
    "deb https://a.test s main\ndeb https://a.test t main\ndeb https://b.test s main\n",
    "deb [arch=amd64] https://a.test/x s main\n",
    "deb [ arch=amd64,arm64 signed-by=/usr/share/keyrings/x.gpg ] https://a.test/x s main\n",
    "deb [arch=amd64 trusted=yes]https://a.test/x s main\n",
    "deb [signed-by=/x#y] https://a.test/x s main\n",
    "deb-src https://a.test/ s main\n",
    "deb http://a.test:8080/x s main\n",
    "deb http://me:secret@a.test/x s main\n",
    "deb https://me@a.test/x s main\n",
    "deb https://me:sec@ret@a.test/x s main\n",
    "deb http://[2001:db8::1]/x s main\n",
    "deb https://a.test/flat ./\n",
    "deb https://a.test/flat /\n",
    "deb https://a.test/flat sub/dir/\n",
    "deb https://a.test/$(ARCH) $(ARCH)/\n",
    "deb \"https://a.test/x\" s main\n",
    "deb cdrom:[Debian GNU/Linux 12 _Bookworm_]/ s main\n",
    "deb file:/srv/x s main\n",
    "deb file:///srv/x s main\ndeb https://a.test s main\n",
    "deb copy:/srv/x s main\n",
    "deb mirror+file:/etc/apt/mirrors s main\n",
    "deb mirror+file:///etc/apt/mirrors s main\n",
    "deb mirror+https://a.test/list s main\n",
    "deb mirror+http://a.test/list s main\n",
    "deb mirror://a.test/list s main\n",
    "deb tor+https://a.test/x s main\n",
    "deb tor+http://a.test/x s main\n",
    "deb ar+https://a.test/x s main\n",
    "deb ftp://a.test/x s main\n",
    "deb http://a.test/ s\n",
    "deb http://a.test/ / main\n",
    "deb http://a.test/\n",
    "deb\n",
    "deb a.test s main\n",
    "debian http://a.test/ s main\n",
    "rpm http://a.test/ s main\n",
    "deb [arch=amd64 https://a.test/x s main\n",
];

const STANZAS: &[&str] = &[
    "Types: deb\nURIs: http://a.test/debian\nSuites: s\nComponents: main\n",
    "types: deb deb-src\nuris: http://a.test/debian\nSUITES: s t\ncomponents: main\n",
    "Types: deb-src\nURIs: https://a.test\nSuites: s\nComponents: main\n",
    "# c\nTypes: deb\n# c\nURIs: http://a.test\n https://b.test\n\thttp://c.test\nSuites:\n s\nComponents: main\n",
    "Types: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n\n\nTypes: deb\nURIs: http://b.test\nSuites: ./\n",
    "Types: deb\r\nURIs: http://a.test\r\nSuites: s\r\nComponents: main\r\n\r\nTypes: deb\r\nURIs: http://b.test\r\nSuites: ./\r\n",
    "Enabled: no\nTypes: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "Enabled: FALSE\nTypes: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "Enabled: off\nTypes: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "Enabled: without\nTypes: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "Enabled: disable\nTypes: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "Enabled: 0\nTypes: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "Enabled: 0x0\nTypes: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "Enabled: 00\nTypes: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "Enabled: maybe\nTypes: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "Enabled: 2\nTypes: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "Enabled: n\nTypes: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "Enabled:\nTypes: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "Enabled: yes\nTypes: deb\nURIs: http://a.test/$(ARCH)\nSuites: $(ARCH)/\n",
    "Types: deb\nURIs: mirror+file:///etc/apt/mirrors\nSuites: s s-updates\nComponents: main\nSigned-By: /x\n",
    "Types: deb\nURIs: https://me:secret@a.test/x\nSuites: s\nComponents: main\nArchitectures: amd64\n",
    "Types: deb\nURIs: http://a.test\nURIs: http://b.test\nSuites: s\nComponents: main\n",
    "Types: deb\nURIs: http://a.test\nSuites: s\n",
    "Types: deb\nURIs: http://a.test\nSuites: /\nComponents: main\n",
    "Types: deb\nSuites: s\nComponents: main\n",
    "Types: rpm\nURIs: http://a.test\nSuites: s\nComponents: main\n",
    "URIs: http://a.test\nSuites: s\nComponents: main\n",
    "Types: deb\nURIs: a.test\nSuites: s\nComponents: main\n",
    "Types: deb\nURIs: http://a.test\nSuites: s\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n xyz=\n",
    "Types: deb\nURIs: http://a.test\nSuites: s\nComponents: main\n \nTypes: deb\nURIs: http://b.test\nSuites: ./\n",
];

/// Whether the source in my.list is read.
const CONFIGURATIONS: &[&str] = &[
    "",
    "Dir::Etc::sourcelist \"my.list\";\n",
    "dir::etc::SourceList my.list;\n",
    "Dir { Etc { sourcelist \"my.list\"; }; };\n",
    "Dir::Etc\n{\n  sourcelist // x\n  \"my.list\";\n}\n",
    "/* Dir::Etc::sourcelist \"my.list\"; */\n",
    "/* x\n */ Dir::Etc::sourcelist \"my.list\"; # y\n",
    "// Dir::Etc::sourcelist \"my.list\";\n",
    "# Dir::Etc::sourcelist \"my.list\";\n",
    "Dir::Etc::sourcelist \"my.list\";\nDir::Etc::sourcelist \"other\";\n",
    "Dir::Etc::sourcelist \"my.list\";\n#clear Dir::Etc::sourcelist;\n",
    "Dir::Etc::sourcelist \"my\" \".list\";\n",
    "Dir::Etc::sourcelist \"\";\n",
    "Dir::Etc::sourcelist \"my.list\"\n",
    "Dir::Etc::sourcelist my list;\n",
    "Dir::Etc::sourcelist \"my.list\" { x \"y\"; };\n",
];
