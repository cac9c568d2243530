# upgrade-gate with its units, for callPackage.
{
  lib,
  stdenv,
  buildPackages,
  rustPlatform,
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
      ./packaging/install
      ./packaging/remove-drop-ins
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

  # man pages and completions are made by the program itself, where it runs
  postInstall = ''
    export PREFIX=$out BINARY=$out/bin/upgrade-gate GENERATOR=none
  ''
  + lib.optionalString (stdenv.hostPlatform.emulatorAvailable buildPackages) ''
    export GENERATOR=$PWD/generator
    printf '#!/bin/sh\nexec %s %s "$@"\n' '${stdenv.hostPlatform.emulator buildPackages}' "$BINARY" > generator
    chmod +x generator
  ''
  + ''
    sh packaging/install
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
