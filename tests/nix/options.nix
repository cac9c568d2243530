# docs/nixos-options.md, from the options that the module declares.
let
  lib = import ./lib.nix;
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    isFunction
    replaceStrings
    toJSON
    ;

  plain = replaceStrings [ "{option}" "{file}" "{manpage}" ] [ "" "" "" ];

  shown =
    value: if lib.is "literal" value then lib.trim value.text else toJSON value;

  line =
    name: value:
    if builtins.length (lib.splitString "\n" value) > 1 then
      "\n${name}:\n\n```nix\n${value}\n```"
    else
      "\n${name}: `${value}`";

  entry = path: option: ''
    ## `${concatStringsSep "." path}`

    ${lib.trim (plain option.description)}

    Type: ${option.type.description}
    ${
      if option ? defaultText then
        line "Default" (shown option.defaultText)
      else if option ? default then
        line "Default" (shown option.default)
      else
        ""
    }${if option ? example then "\n${line "Example" (shown option.example)}" else ""}
  '';

  # the options of a submodule, however deep in the type it is
  inside =
    path: type:
    let
      here = path ++ (if type ? placeholder then [ type.placeholder ] else [ ]);
      declared = module: (if isFunction module then module { name = "<name>"; } else module).options;
    in
    if type ? modules then
      concatMap (module: entries here (declared module)) type.modules
    else if type ? inner then
      inside here type.inner
    else
      [ ];

  entries =
    path: options:
    concatMap (
      name:
      let
        at = path ++ [ name ];
        found = options.${name};
      in
      if lib.is "option" found then [ (entry at found) ] ++ inside at found.type else entries at found
    ) (attrNames options);
in
{
  document = ''
    # The options of the NixOS module

    Generated from `nix/options.nix` by `tests/nix/run --write-docs`; [nixos.md](nixos.md) explains how to use them. Where the default is
    `null`, upgrade-gate's own default applies ([configuration.md](configuration.md)).

    ${concatStringsSep "\n" (
      entries [ "services" "upgrade-gate" ] (import ./evaluate.nix { }).options.services.upgrade-gate
    )}'';
}
