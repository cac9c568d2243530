# The options of services.upgrade-gate.
{ lib, pkgs, ... }:
let
  inherit (lib)
    literalExpression
    mkEnableOption
    mkOption
    types
    ;

  toml = pkgs.formats.toml { };

  setting =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  # docs/configuration.md has the same keys and sentences; tests/nix compares them
  profile.options = {
    targets =
      setting (types.listOf (types.either types.str (types.attrsOf types.anything)))
        "What must be reached: every entry, and of `{ any = […] }` one.";
    flake = setting types.str "The flake whose host `auto` asks for.";
    allow_guess = setting types.bool "Where nothing can be derived for `auto`, open on a route to anywhere.";
    settle = setting types.str "How long everything must hold after a resume or a route change.";
    metered = setting (types.enum [
      "hold"
      "allow"
    ]) "Whether a metered connection holds the upgrade.";
    power = setting (types.either
      (types.enum [
        "any"
        "mains"
      ])
      (
        types.submodule {
          options.battery_at_least = mkOption {
            type = types.ints.between 1 100;
            description = "Percentage that opens the gate on battery, too.";
          };
        }
      )
    ) "The power the upgrade asks for; with a percentage, mains or a battery that full.";
    at_most_every =
      setting types.str
        "`run` only: minimum time between successful runs; an earlier run exits with success immediately.";
    attempts =
      setting types.ints.positive
        "`run` only: maximum number of attempts if the command is interrupted.";
    attempt_timeout =
      setting types.str
        "`run` only: awake time after which the command gets SIGTERM and counts as interrupted.";
    final_exit_status =
      setting (types.listOf (types.ints.between 0 255))
        "`run` only: exit codes that are final results of the command, never an interruption.";
    final_if_changed =
      setting (types.listOf (types.strMatching "/.*"))
        "`run` only: if one of these changes during an attempt, its result is final.";
    inhibit = setting (types.listOf (
      types.enum [
        "shutdown"
        "sleep"
      ]
    )) "`run` and `wait-online --stay`: what is inhibited while it runs; `sleep` includes closing the lid.";
  };

  watch = {
    profile = setting profileName "Whose gate `upgrade-gate-online.target` follows.";
    rearm =
      setting (types.listOf types.str)
        "Units to start again when the gate opens, if they failed while offline.";
    rearm_at_once = setting types.ints.positive "How many of these may be starting at the same time.";
    rearm_spread =
      setting types.str
        "Each of these waits for a part of this, its own on each machine, so that not all machines ask at once.";
  };

  profileName = types.strMatching "[a-zA-Z0-9][-a-zA-Z0-9_.@:+]{0,63}";

  unit =
    { name, ... }:
    {
      options.mode = mkOption {
        type = types.enum [
          "run"
          "pre"
          "condition"
          "companion"
        ];
        default = "run";
        description = ''
          How the unit is gated.

          * `run`: each of its commands is run by `upgrade-gate run`, which waits, and runs it again if a suspend or the
            network interrupted it. For commands that end: the unit becomes `Type=exec`, or stays a oneshot if it has
            several.
          * `companion`: it requires {file}`upgrade-gate@NAME.service`, which waits, and holds the profile's inhibitor
            locks while the unit runs. For any unit, also one whose commands come from a package; but not for a daemon
            that starts at boot, which would keep the boot "starting" while there is no network.
          * `pre`: `upgrade-gate wait-online` is its first `ExecStartPre=`. A oneshot that waits in this way at boot keeps the
            boot "starting".
          * `condition`: it is skipped, without failing, while the gate is held: `ExecCondition=`.

          All but `condition` also take `network-online.target` from the unit's dependencies: it says nothing after a
          suspend, and at boot it would bring in services that fail where there is no network.

          All but `companion` also set {option}`restartIfChanged` to false, unless it is set elsewhere: a switch to another
          version of upgrade-gate changes the unit, and must not end the upgrade that does the switching.
        '';
      };
      options.profile = mkOption {
        type = profileName;
        default = name;
        defaultText = literalExpression "name";
        description = ''
          The profile, by default named after the unit. It need not be configured.
        '';
      };
    };
in
{
  options.services.upgrade-gate = {
    enable = mkEnableOption "upgrade-gate, which lets an unattended upgrade start only when it can succeed";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../package.nix { };
      defaultText = literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package of upgrade-gate, with its units.";
    };

    autoUpgrade.enable = mkEnableOption ''
      gating {option}`system.autoUpgrade`: its script is run by `upgrade-gate run`, under the profile `nixos-upgrade`. What
      the upgrade needs is learnt from {option}`system.autoUpgrade.flake` and {option}`system.autoUpgrade.flags`'';

    fwupdRefresh.enable = mkEnableOption ''
      gating the `fwupd-refresh` of {option}`services.fwupd`: its command is run by `upgrade-gate run`, under the profile
      `fwupd-refresh`'';

    units = mkOption {
      type = types.attrsOf (types.submodule unit);
      default = { };
      example = literalExpression ''
        {
          my-upgrade = { };
          bento-upgrade.mode = "companion";
        }
      '';
      description = "Services to gate, by name without `.service`.";
    };

    profiles = mkOption {
      type = types.attrsOf (types.submodule profile);
      default = { };
      example = literalExpression ''
        {
          nixos-upgrade = {
            power.battery_at_least = 40;
            at_most_every = "20h";
          };
        }
      '';
      description = ''
        Profiles by name: what a gate asks for, and how `run` behaves. What is not set has upgrade-gate's own default.
        {file}`docs/configuration.md` describes every key; time spans are those of {manpage}`systemd.time(7)`.
      '';
    };

    watch = {
      enable = mkEnableOption ''
        the service behind {file}`upgrade-gate-online.target`, which is active while what the profile needs is proven to
        be reachable. Units that it wants run at each return'';
    }
    // watch;

    settings = mkOption {
      inherit (toml) type;
      default = { };
      description = ''
        {file}`/etc/upgrade-gate/upgrade-gate.toml`, to which {option}`services.upgrade-gate.profiles` and
        {option}`services.upgrade-gate.watch` add theirs. upgrade-gate checks it when the system is built.
      '';
    };
  };
}
