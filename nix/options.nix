# The options of services.upgrade-gate.
{ lib, pkgs, ... }:
let
  inherit (lib)
    literalExpression
    mkEnableOption
    mkOption
    types
    ;

  setting =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  guard.options = {
    enable =
      setting types.bool
        "`run` only: the command builds a NixOS system, and the guard activates it.";
    system =
      setting types.str
        "The system that the command has built, or a link to it; relative to the working directory.";
    mode = setting (types.enum [
      "live"
      "reboot"
      "auto"
    ]) "Whether it is activated now, or tried once by the next boot; `auto`: by the next boot if it cannot be activated now, or has another kernel.";
    within = setting types.str "How long it is watched before it is kept, in awake time.";
    settle_after =
      setting types.str
        "How long it must be worse than the previous system before it is undone; 5s at most for a unit that has failed and is not restarted.";
    confirm = setting types.bool "Whether it is undone unless `guard confirm` keeps it in time.";
    reboot = setting types.bool "Whether the machine may be rebooted to undo it.";
    on_doubt = setting (types.enum [
      "undo"
      "keep"
      "experiment"
    ]) "What is done without a verdict.";
    checks =
      setting (types.listOf types.str)
        "What must succeed while it is watched; exit code 75 means no verdict yet.";
    check_timeout = setting types.str "How long each of them may take.";
    ignore_units = setting (types.listOf types.str) "Units that do not count, though they fail or fall silent.";
    must_have =
      setting (types.listOf types.str)
        "Units that the new system must start at boot, if the previous one does.";
    one_way =
      setting (types.listOf types.str)
        "Packages whose data cannot go back: another major version is refused, unless `confirm` is set.";
    notify =
      setting types.str
        "What is started if it is undone or refused, if the undo fails, or if its reboot does not come.";
    on_staged = setting types.str "What is started when the next boot is to try it, and may reboot.";
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
    ) "The power the upgrade requires; a percentage means mains, or a battery charged at least that much.";
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
    guard = mkOption {
      type = types.submodule guard;
      default = { };
      description = "How the guard tries the system that the command has built.";
    };
  };

  settings.profile = mkOption {
    type = types.attrsOf (types.submodule profile);
    default = { };
    description = "Profiles by name: what a gate waits for, and how `run` behaves.";
  };

  settings.watch = {
    profile = setting types.str "Whose gate `upgrade-gate-online.target` follows.";
    rearm =
      setting (types.listOf types.str)
        "Units to start again when the gate opens, if they failed while offline.";
    rearm_at_once = setting types.ints.positive "How many of these may be starting at the same time.";
    rearm_spread =
      setting types.str
        "Each start is delayed by up to this, differently on each machine, so that not all machines start at once.";
  };

  unit.options = {
    mode = mkOption {
      type = types.nullOr (
        types.enum [
          "run"
          "companion"
          "pre"
          "condition"
        ]
      );
      default = null;
      description = ''
        How the unit is gated; by default `run`, or `companion` if that does not fit: {command}`upgrade-gate drop-in` decides.

        * `run`: `upgrade-gate run` runs its command: it waits, and runs the command again if a suspend or the network
          interrupted it.
        * `companion`: it requires {file}`upgrade-gate@PROFILE.service`, which waits, and holds the profile's inhibitor
          locks while the unit runs.
        * `pre`: `upgrade-gate wait-online` is its first `ExecStartPre=`.
        * `condition`: it is skipped, without failing, while the gate is held: `ExecCondition=`.

        A mode that does not fit the unit is a build error that says why.
      '';
    };
    profile = setting types.str "The profile, by default named after the unit. It need not be configured.";
  };
in
{
  options.services.upgrade-gate = {
    enable = mkEnableOption "upgrade-gate, which lets an unattended upgrade start only when it can succeed";

    package = lib.mkPackageOption pkgs "upgrade-gate" { } // {
      default = pkgs.upgrade-gate or (pkgs.callPackage ../package.nix { });
    };

    autoUpgrade.enable = mkEnableOption ''
      gating {option}`system.autoUpgrade`, with the profile `nixos-upgrade`. What the upgrade needs is derived from its
      script and {option}`system.autoUpgrade.flake`'';

    autoUpgrade.whenOnline = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "20h";
      description = ''
        Also upgrade at boot and each time the network returns, unless the last successful upgrade is more recent than this
        time span. It applies to the timer too, and enables {option}`services.upgrade-gate.watch`.
      '';
    };

    autoUpgrade.guard.enable = mkEnableOption ''
      the guard: the upgrade only builds the system, and the guard activates it, watches it, and makes it the boot default or
      returns to the previous one. {option}`services.upgrade-gate.settings.profile.nixos-upgrade.guard` has its settings.
      With {option}`system.autoUpgrade.operation` = `"boot"`, the next boot tries the system once'';

    fwupdRefresh.enable = mkEnableOption ''
      gating `fwupd-refresh` of {option}`services.fwupd`, with the profile `fwupd-refresh`'';

    units = mkOption {
      type = types.attrsOf (types.submodule unit);
      default = { };
      example = literalExpression ''
        {
          my-upgrade = { };
          "backup@".profile = "%i";
        }
      '';
      description = ''
        Services to gate, by name without `.service`: those of {option}`systemd.services`, and those of packages.
      '';
    };

    userUnits = mkOption {
      type = types.attrsOf (types.submodule unit);
      default = { };
      example = literalExpression ''
        {
          flatpak-user-update = { };
        }
      '';
      description = ''
        The same for the services of {option}`systemd.user.services`, which each user's manager runs.
      '';
    };

    watch.enable = mkEnableOption ''
      the service behind {file}`upgrade-gate-online.target`, which is active while everything the profile needs is
      proven reachable. Units that it wants run each time the network returns'';

    settings = mkOption {
      type = types.submodule { options = settings; };
      default = { };
      example = literalExpression ''
        {
          profile.nixos-upgrade = {
            power.battery_at_least = 40;
            at_most_every = "20h";
          };
          watch.rearm = [ "my-backup.service" ];
        }
      '';
      description = ''
        Contents of {file}`/etc/upgrade-gate/upgrade-gate.toml`. Unset keys have upgrade-gate's own defaults.
        {file}`docs/configuration.md` describes every key; time spans are those of {manpage}`systemd.time(7)`. upgrade-gate
        checks the file at build time.
      '';
    };
  };
}
