# install: what `cmake --install` places, under the folders of GNUInstallDirs.
include(GNUInstallDirs)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

set(SYSTEMD_UNIT_DIR lib/systemd/system CACHE STRING "Folder of the systemd unit")
set(SYSUSERS_DIR lib/sysusers.d CACHE STRING "Folder of the system user's declaration")
set(data ${CMAKE_INSTALL_DATADIR}/aggregator)
set(pages ${CMAKE_BINARY_DIR}/pages)

# The manual page and the completions are made of the table of commands, which the program prints.
add_custom_command(
  OUTPUT ${pages}/aggregator.1 ${pages}/aggregator-config.5 ${pages}/completion.bash ${pages}/completion.fish ${pages}/completion.zsh
  COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_SOURCE_DIR}/packaging/pages.py $<TARGET_FILE:aggregator> ${pages}
  DEPENDS aggregator packaging/pages.py packaging/manual.py packaging/completions.py
  VERBATIM)
add_custom_target(pages ALL DEPENDS ${pages}/aggregator.1)

install(TARGETS aggregator)
install(DIRECTORY scripts sql DESTINATION ${data})
install(DIRECTORY docs/types DESTINATION ${data})
install(DIRECTORY examples DESTINATION ${data}) # the generator is for those who have Python
install(DIRECTORY packaging/grafana packaging/prometheus DESTINATION ${data})
install(FILES config.lua DESTINATION ${data})
# Full: with the prefix /usr the files are in /etc, not in /usr/etc.
install(FILES packaging/config.lua packaging/environment
  DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/aggregator)
file(GLOB manuals CONFIGURE_DEPENDS docs/*.md)
install(FILES ${manuals} DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES docs/live.html DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/operate docs/plots docs/flames DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${pages}/aggregator.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${pages}/aggregator-config.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES ${pages}/completion.bash RENAME aggregator
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${pages}/completion.fish RENAME aggregator.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES ${pages}/completion.zsh RENAME _aggregator
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
configure_file(packaging/aggregator.service.in aggregator.service @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/aggregator.service DESTINATION ${SYSTEMD_UNIT_DIR})
install(FILES packaging/sysusers.conf RENAME aggregator.conf DESTINATION ${SYSUSERS_DIR})
