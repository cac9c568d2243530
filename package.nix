# upgrade-gate with its units, for callPackage.
{
  lib,
  stdenv,
  buildPackages,
  rustPlatform,
  installShellFiles,
  nix-update-script,
  versionCheckHook,
  util-linux,
  # seconds since 1970; the date of the source tells a machine with a wrong clock from a broken certificate
  sourceDateEpoch ? null,
}:
let
  inherit (lib.importTOML ./Cargo.toml) package;
in
rustPlatform.buildRustPackage {
  pname = package.name;
  inherit (package) version;

  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./Cargo.lock
      ./Cargo.toml
      ./CONTRIBUTING.md
      ./README.md
      ./benches
      ./build.rs
      ./docs
      ./examples
      ./src
      ./tests/it
      ./units
      ./vm-tests/README.md
    ];
  };
  cargoLock.lockFile = ./Cargo.lock;

  env = lib.optionalAttrs (sourceDateEpoch != null) {
    SOURCE_DATE_EPOCH = toString sourceDateEpoch;
  };

  # `cargo test` ignores tests that need root, other programs or their services; a build sandbox has no certificates either
  checkType = "debug";
  checkFlags = map (test: "--skip=probe::${test}") [
    "network::a_connection_that_is_closed_at_once_is_unreachable"
    "network::a_refused_connection_names_who_refused_it"
    "network::whoever_says_nothing_is_unreachable_when_the_time_is_up"
    "proxies::a_proxy_that_refuses_is_the_reason"
    "trust::who_does_not_speak_tls_is_a_matter_of_tls"
  ];

  # flock and script
  nativeCheckInputs = [ util-linux ];

  nativeBuildInputs = [ installShellFiles ];

  postInstall = ''
    install -Dm444 -t $out/lib/systemd/system units/*.service units/*.target units/*.timer
    install -Dm444 -t $out/lib/systemd/user units/user/*.service
    install -Dm444 -t $out/lib/tmpfiles.d units/tmpfiles.d/*.conf
    mkdir -p $out/share/upgrade-gate
    cp -r --no-preserve=mode units/drop-ins units/example $out/share/upgrade-gate/
    grep -rlZ /usr/bin/upgrade-gate $out/lib $out/share \
      | xargs -0 sed -i "s|/usr/bin/upgrade-gate|$out/bin/upgrade-gate|g"
  ''
  + lib.optionalString (stdenv.hostPlatform.emulatorAvailable buildPackages) ''
    run() {
      ${stdenv.hostPlatform.emulator buildPackages} $out/bin/upgrade-gate "$@"
    }
    mkdir man
    run man man
    installManPage man/*
    installShellCompletion --cmd upgrade-gate \
      --bash <(run completions bash) --fish <(run completions fish) --zsh <(run completions zsh)
  '';

  doInstallCheck = true;
  nativeInstallCheckInputs = [ versionCheckHook ];

  passthru.updateScript = nix-update-script { };

  meta = {
    inherit (package) description;
    license = lib.licenses.mit;
    mainProgram = package.name;
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
}
